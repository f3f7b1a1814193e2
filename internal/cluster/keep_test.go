package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

var configMapResource = schema.GroupResource{Resource: "configmaps"}

func app(colour string) snapshot.Object {
	return snapshot.Object{
		Kind: wellknown.ConfigMap, Namespace: "shop", Name: "app",
		Annotations: map[string]string{wellknown.Versioned: "true"},
		Data:        map[string]string{"colour": colour},
	}
}

// store is a namespace in which somebody else can be quicker.
type store struct {
	objects map[string]snapshot.Object
	before  func(verb, name string) error // is called first, and its error is the answer
	writes  []string
}

func (s *store) did(verb, name string) error {
	if s.before != nil {
		return s.before(verb, name)
	}
	return nil
}

func (s *store) get(_ context.Context, _, name string) (snapshot.Object, error) {
	if err := s.did("get", name); err != nil {
		return snapshot.Object{}, err
	}
	object, found := s.objects[name]
	if !found {
		return snapshot.Object{}, apierrors.NewNotFound(configMapResource, name)
	}
	return object, nil
}

func (s *store) create(_ context.Context, object snapshot.Object) (snapshot.Object, error) {
	if err := s.did("create", object.Name); err != nil {
		return snapshot.Object{}, err
	}
	if _, found := s.objects[object.Name]; found {
		return snapshot.Object{}, apierrors.NewAlreadyExists(configMapResource, object.Name)
	}
	s.writes = append(s.writes, "create "+object.Name)
	s.objects[object.Name] = object
	return object, nil
}

func (s *store) patch(_ context.Context, _, name string, _ []byte) (snapshot.Object, error) {
	if err := s.did("patch", name); err != nil {
		return snapshot.Object{}, err
	}
	object, found := s.objects[name]
	if !found {
		return snapshot.Object{}, apierrors.NewNotFound(configMapResource, name)
	}
	s.writes = append(s.writes, "patch "+name)
	delete(object.Annotations, wellknown.UnusedSince)
	return object, nil
}

func (s *store) reach() *Objects {
	return s.reachAs(wellknown.ConfigMap)
}

func (s *store) reachAs(kind wellknown.Kind) *Objects {
	objects := NewObjects(nil, Scope{}, nil)
	objects.kinds = map[wellknown.Kind]access{kind: {get: s.get, create: s.create, patch: s.patch}}
	return objects
}

func marked(object snapshot.Object) snapshot.Object {
	object.Annotations[wellknown.UnusedSince] = "2026-01-01T00:00:00Z"
	return object
}

// TestAnswersAboutSecretsQuoteNothing: who refuses a Secret saw what it holds.
func TestAnswersAboutSecretsQuoteNothing(t *testing.T) {
	secretResource := schema.GroupResource{Resource: "secrets"}
	for name, answer := range map[string]error{
		"by a policy":  apierrors.NewForbidden(secretResource, "db", errors.New("hunter2 is no password")),
		"by a webhook": apierrors.NewInternalError(errors.New("hunter2 is no password")),
		"as conflict":  apierrors.NewConflict(secretResource, "db", errors.New("hunter2 is no password")),
		"with no code": &apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusTeapot, Message: "hunter2 is no password"}},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset()
			client.PrependReactor("*", "secrets", func(action clienttesting.Action) (bool, runtime.Object, error) {
				if action.GetVerb() == "get" {
					return true, nil, apierrors.NewNotFound(secretResource, "db")
				}
				return true, nil, answer
			})
			objects := NewObjects(client.CoreV1(), Scope{Namespaces: Everywhere, Secrets: Everywhere}, func() *hashing.Key { return testKey(t, 1) })
			source := snapshot.Object{Kind: wellknown.Secret, Namespace: "shop", Name: "db", Key: testKey(t, 1), Data: map[string]string{"password": "hunter2"}}
			_, err := objects.Keep(t.Context(), source, false)
			if apierrors.IsConflict(answer) {
				require.Error(t, err)
			} else {
				assert.Equal(t, apierrors.ReasonForError(answer), apierrors.ReasonForError(err), "who asks is told")
			}
			refused := (*RefusedError)(nil)
			assert.Equal(t, !apierrors.IsConflict(answer), errors.As(err, &refused))
			assert.EqualError(t, objects.Remove(t.Context(), source), fmt.Sprintf("deleting secret shop/db: the API server refuses it (%s): "+
				"see the rights, quotas and policies of the namespace", cmp.Or(string(apierrors.ReasonForError(answer)), "418")))
			_, annotating := objects.Annotate(t.Context(), source, nil)
			for _, err := range []error{err, annotating} {
				assert.ErrorContains(t, err, "shop/db")
				assert.NotContains(t, err.Error(), "hunter2")
			}
			if refused != nil {
				assert.NotContains(t, refused.Error(), "db", "who is told of a refusal isn't told of names, which have digests in them")
			}
		})
	}
}

func TestWhatIsNeverKept(t *testing.T) {
	s := &store{objects: map[string]snapshot.Object{}}
	objects := s.reachAs(wellknown.Secret)
	_, err := objects.Keep(t.Context(), snapshot.Object{Kind: wellknown.Secret, Name: "token", Type: "kubernetes.io/service-account-token", Key: testKey(t, 1)}, false)
	var refused *RefusedError
	require.ErrorAs(t, err, &refused)
	assert.True(t, refused.Final)
	assert.Empty(t, s.writes)
}

func TestKeep(t *testing.T) {
	short, long, full := snapshot.Of(app("blue"), 12), snapshot.Of(app("blue"), 24), snapshot.Of(app("blue"), 52)
	squatter := snapshot.Object{Kind: wellknown.ConfigMap, Namespace: "shop", Data: map[string]string{"colour": "pink"}}
	terminating := short
	terminating.Terminating = true
	forbidden := apierrors.NewForbidden(configMapResource, short.Name, errors.New("exceeded quota"))

	for _, test := range []struct {
		name    string
		there   map[string]snapshot.Object
		before  func(s *store) func(verb, name string) error
		dryRun  bool
		want    string
		created bool
		taken   int
		writes  []string
		refused string
	}{
		{name: "it is made", want: short.Name, created: true, writes: []string{"create " + short.Name}},
		{name: "it is there", there: map[string]snapshot.Object{short.Name: short}, want: short.Name},
		{name: "a dry run makes nothing", dryRun: true, want: short.Name, created: true},
		{
			name:  "a mark is taken off",
			there: map[string]snapshot.Object{short.Name: marked(snapshot.Of(app("blue"), 12))},
			want:  short.Name, writes: []string{"patch " + short.Name},
		},
		{
			name: "a dry run takes no mark off", dryRun: true,
			there: map[string]snapshot.Object{short.Name: marked(snapshot.Of(app("blue"), 12))},
			want:  short.Name,
		},
		{
			name:  "a taken name is left to whoever has it",
			there: map[string]snapshot.Object{short.Name: squatter},
			want:  long.Name, created: true, taken: 1, writes: []string{"create " + long.Name},
		},
		{
			name:  "so is one that is being deleted",
			there: map[string]snapshot.Object{short.Name: terminating},
			want:  long.Name, created: true, taken: 1, writes: []string{"create " + long.Name},
		},
		{
			name:    "when all names are taken, that is that",
			there:   map[string]snapshot.Object{short.Name: squatter, long.Name: squatter, full.Name: squatter},
			refused: "keeping configmap shop/app: something else has each name that its snapshot could have",
		},
		{
			name: "somebody else makes it first",
			before: func(s *store) func(verb, name string) error {
				return func(verb, _ string) error {
					if verb == "create" {
						s.objects[short.Name] = short
					}
					return nil
				}
			},
			want: short.Name,
		},
		{
			name:  "somebody deletes it before its mark is off",
			there: map[string]snapshot.Object{short.Name: marked(snapshot.Of(app("blue"), 12))},
			before: func(s *store) func(verb, name string) error {
				return func(verb, name string) error {
					if verb == "patch" {
						delete(s.objects, name)
					}
					return nil
				}
			},
			want: short.Name, created: true, writes: []string{"create " + short.Name},
		},
		{
			name: "the cluster won't take it",
			before: func(*store) func(verb, name string) error {
				return func(verb, _ string) error {
					if verb == "create" {
						return forbidden
					}
					return nil
				}
			},
			refused: `keeping configmap shop/app as "` + short.Name + `": ` + forbidden.Error(),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &store{objects: map[string]snapshot.Object{}}
			for name, object := range test.there {
				s.objects[name] = object
			}
			if test.before != nil {
				s.before = test.before(s)
			}
			kept, err := s.reach().Keep(t.Context(), app("blue"), test.dryRun)
			if test.refused != "" {
				var refused *RefusedError
				require.ErrorAs(t, err, &refused)
				assert.EqualError(t, err, test.refused)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.want, kept.Snapshot.Name)
			assert.Equal(t, test.created, kept.Created)
			assert.Equal(t, test.taken, kept.Taken)
			assert.Equal(t, test.writes, s.writes)
		})
	}
}

// TestWhatIsARefusal: whoever asked is told that no snapshot can be made, and keeps
// what is pinned. Of the rest nothing is known, and it is tried again.
func TestWhatIsARefusal(t *testing.T) {
	for name, test := range map[string]struct {
		answer error
		want   bool
	}{
		"a quota":                            {apierrors.NewForbidden(configMapResource, "app-1", errors.New("exceeded quota")), true},
		"a webhook that is down":             {apierrors.NewInternalError(errors.New(`failed calling webhook "x": connection refused`)), true},
		"a webhook that has a trouble":       {answered(http.StatusInternalServerError), true},
		"a webhook that says no in its way":  {answered(http.StatusTeapot), true},
		"a namespace that is gone":           {apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "shop"), true},
		"an object that is too large":        {apierrors.NewRequestEntityTooLargeError("limit is 3145728"), true},
		"an API server that is busy":         {apierrors.NewTooManyRequests("slow down", 1), false},
		"one that doesn't know who asks":     {apierrors.NewUnauthorized("token expired"), false},
		"one that is going down":             {apierrors.NewServiceUnavailable("shutting down"), false},
		"one that waited too long":           {apierrors.NewTimeoutError("request did not complete", 1), false},
		"no answer":                          {context.DeadlineExceeded, false},
		"somebody else who was quicker once": {apierrors.NewConflict(configMapResource, "app-1", errors.New("changed")), false},
	} {
		s := &store{objects: map[string]snapshot.Object{}, before: func(verb, _ string) error {
			if verb == "create" {
				return test.answer
			}
			return nil
		}}
		_, err := s.reach().Keep(t.Context(), app("blue"), false)
		require.Error(t, err, name)
		refused := (*RefusedError)(nil)
		assert.Equal(t, test.want, errors.As(err, &refused), name)
	}
}

func answered(code int32) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: code, Message: "no"}}
}

func TestTroubleIsNoRefusal(t *testing.T) {
	s := &store{objects: map[string]snapshot.Object{}, before: func(string, string) error { return errors.New("connection reset") }}
	_, err := s.reach().Keep(t.Context(), app("blue"), false)
	var refused *RefusedError
	assert.NotErrorAs(t, err, &refused)
	assert.ErrorContains(t, err, "connection reset")
}

// TestGoing: of an answer about a Secret, that its namespace is deleted is all that
// is left.
func TestGoing(t *testing.T) {
	resource := schema.GroupResource{Resource: "secrets"}
	terminating := apierrors.NewForbidden(resource, "db-1", errors.New("hunter2"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause, Message: "hunter2"}}
	other := apierrors.NewForbidden(resource, "db-1", errors.New("hunter2"))
	other.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: "hunter2"}}
	for _, test := range []struct {
		name string
		err  error
		want bool
	}{
		{"its namespace is being deleted", fmt.Errorf("keeping: %w", &RefusedError{Err: Discreet(terminating)}), true},
		{"it is gone", Discreet(apierrors.NewNotFound(resource, "db-1")), true},
		{"it is refused", Discreet(other), false},
		{"nothing is wrong", nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			assert.Equal(t, test.want, Going(test.err))
			if answer := apierrors.APIStatus(nil); errors.As(test.err, &answer) {
				assert.NotContains(t, fmt.Sprint(answer.Status()), "hunter2")
			}
		})
	}
}

// TestFewContentsAreReadAtATime: each can be a MiB, and all who ask at the same time wait
// for their turn.
func TestFewContentsAreReadAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, highest atomic.Int64
		answer := make(chan struct{})
		s := &store{before: func(string, string) error {
			highest.Store(max(highest.Load(), now.Add(1)))
			defer now.Add(-1)
			<-answer
			return nil
		}}
		objects := s.reach()
		var asking sync.WaitGroup
		for i := range 2 * maxReading {
			asking.Go(func() {
				_, found, err := objects.Find(t.Context(), "shop", refs.Target{Kind: wellknown.ConfigMap, Name: fmt.Sprint("app-", i)})
				assert.NoError(t, err)
				assert.False(t, found)
			})
		}
		synctest.Wait()
		assert.EqualValues(t, maxReading, now.Load())
		close(answer)
		asking.Wait()
		assert.EqualValues(t, maxReading, highest.Load())
	})
}
