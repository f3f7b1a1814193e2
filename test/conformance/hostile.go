package conformance

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// hostile is about tenants who write what nobody should.
var hostile = []scenario{
	{"names of another namespace lead nowhere: in refs", abroad(abroadInRefs)},
	{"names of another namespace lead nowhere: in pins", abroad(abroadInPins)},
	{"names of another namespace lead nowhere: in what is excluded", abroad(abroadInExclude)},
	{"names of another namespace lead nowhere: in observed labels", abroad(abroadInObserved)},
	{"names of another namespace lead nowhere: on what looks like a snapshot", abroad(abroadOnSnapshots)},
}

// impostors are about what looks like a snapshot and isn't one.
var impostors = []scenario{
	{"a snapshot that was never current isn't, whatever its number: 999", injected("999")},
	{"a snapshot that was never current isn't, whatever its number: the highest", injected("2147483647")},
	{"a snapshot that was never current isn't, whatever its number: beyond the highest", injected("9223372036854775807")},
	{"a snapshot that lies about what it holds is never used, nor collected", liar},
	{"what is labelled as a snapshot and isn't one is never collected", victims},
}

// restless is played with the versioner's defaults, which the suite's isn't.
var restless = []scenario{
	{"a source that changes a hundred times a second is nobody else's trouble", neverRests},
}

// abroad plays with names of a neighbour, who has a ConfigMap and a Secret that we
// are asked for nowhere, so that any request of ours for them is one too many.
func abroad(play func(s *space, neighbour string)) func(*space) {
	return func(s *space) {
		s.needAuditLog()
		other := s.twin()
		other.create(configMap("app", map[string]string{colour: "theirs"}))
		other.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "app"}, StringData: map[string]string{colour: "theirs"}})
		before := other.content()
		s.source("app", "blue")
		s.eventually("blue is kept", func() (string, bool) { return "", s.current("app") != "" })

		play(s, other.name)
		s.pass()
		assert.Equal(s.t, before, other.content(), "nobody wrote there")
		other.eachAudited(func(event audited) {
			if strings.HasPrefix(event.User.Username, ourUsers) && event.ObjectRef.Name == "app" {
				assert.Fail(s.t, "we asked for what is another namespace's", "%s %s", event.Verb, event.ObjectRef.Resource)
			}
		})
		s.answered()
		other.verify()
	}
}

// answered checks that the webhook answered every review of the namespace: where it
// fails, requests pass without it.
func (s *space) answered() {
	s.t.Helper()
	s.eachAudited(func(event audited) {
		for key := range event.Annotations {
			assert.NotContains(s.t, key, "failed-open", "%s %s", event.Verb, event.ObjectRef.Name)
		}
	})
	if s.Operator == nil {
		return
	}
	said, err := s.Operator.Said(s.t.Context())
	require.NoError(s.t, err)
	for line := range strings.Lines(said) {
		if strings.Contains(line, s.name) {
			assert.NotContains(s.t, line, "Answering a review")
		}
	}
}

// paths are names that lead to app of another namespace, if anybody takes them
// for a path, or to nothing.
func paths(namespace string) []string {
	const name = "app"
	return []string{
		namespace + "/" + name,
		"../" + namespace + "/" + name,
		"../../" + namespace + "/configmaps/" + name,
		"../../" + namespace + "/secrets/" + name,
		name + "/../../../" + namespace + "/configmaps/" + name,
		"../../../../../api/v1/namespaces/" + namespace + "/configmaps/" + name,
		"..%2f..%2f" + namespace + "%2fconfigmaps%2f" + name,
		name + "?namespace=" + namespace,
		"..",
		".",
	}
}

// admitted creates a workload that must be admitted, and returns the warnings.
func (s *space) admitted(object *unstructured.Unstructured) []string {
	s.t.Helper()
	heard := &listener{}
	config := rest.CopyConfig(s.Config)
	config.WarningHandler = heard
	writer, err := client.New(config, client.Options{Mapper: s.api.RESTMapper()})
	require.NoError(s.t, err)
	made := object.DeepCopy()
	made.SetNamespace(s.name)
	require.NoError(s.t, writer.Create(s.t.Context(), made))
	return heard.warnings
}

// taken says whether the API server takes a workload as it is.
func (s *space) taken(object *unstructured.Unstructured) bool {
	without := object.DeepCopy()
	without.SetNamespace(s.name)
	without.SetLabels(nil)
	return s.api.Create(s.t.Context(), without, client.DryRunAll) == nil
}

// hostileWorkload is one that nobody runs: what it needs is not there.
func hostileWorkload(s *space, name string, uses ...use) *unstructured.Unstructured {
	s.t.Helper()
	web := optedIn(s.t, "Deployment", name, uses...)
	require.NoError(s.t, unstructured.SetNestedField(web.Object, int64(0), "spec", "replicas"))
	return web
}

func abroadInRefs(s *space, neighbour string) {
	played := 0
	for i, name := range paths(neighbour) {
		for j, use := range []func(string) use{envFrom, volume, secretEnv, secretVolume} {
			web := hostileWorkload(s, fmt.Sprintf("web-%d-%d", i, j), use(name))
			if !s.taken(web) {
				continue
			}
			played++
			s.isAbsent(name)
			warnings := s.admitted(web)
			s.sameButNames(web, s.get(web))
			assert.Equal(s.t, []string{name}, namesOf(s, web), "it is left as it is")
			for _, warning := range warnings {
				assert.Contains(s.t, warning, " does not exist: its refs are left as they are")
			}
			absent := hostileWorkload(s, fmt.Sprintf("not-%d-%d", i, j), use(strings.ReplaceAll(name, "app", "not")))
			s.isAbsent(strings.ReplaceAll(name, "app", "not"))
			for k := range warnings {
				warnings[k] = strings.ReplaceAll(warnings[k], "app", "not")
			}
			assert.Equal(s.t, s.admitted(absent), warnings, "who asks isn't told what there is")
		}
	}
	assert.NotZero(s.t, played, "the API server takes none of them")
}

func (s *space) isAbsent(name string) {
	s.absent["configmap/"+name], s.absent["secret/"+name] = true, true
}

func namesOf(s *space, of *unstructured.Unstructured) []string {
	s.t.Helper()
	var found []string
	for _, r := range refsOf(templateOf(s.t, s.get(of)).Spec) {
		found = append(found, r.name)
	}
	return found
}

// abroadInPins has the annotation that only admission writes say anything.
func abroadInPins(s *space, neighbour string) {
	blue := s.current("app")
	for i, name := range paths(neighbour) {
		s.isAbsent(name)
		for j, written := range []struct {
			ref, pins, want string
		}{
			{"app", "configmap/app=" + name, blue},
			{"app", "configmap/" + name + "=" + blue, blue},
			{blue, "configmap/" + name + "=" + blue, blue},
			{name, "configmap/" + name + "=" + name + "-0123456789ab", name},
			{name, "configmap/app=" + name, name},
			{name, "configmap/elsewhere=" + name, name},
		} {
			web := hostileWorkload(s, fmt.Sprintf("web-%d-%d", i, j), envFrom(written.ref))
			annotate(s, web, wellknown.Pins, written.pins)
			if !s.taken(web) {
				continue
			}
			s.admitted(web)
			assert.Equal(s.t, []string{written.want}, namesOf(s, web), "%s with pins %s", written.ref, written.pins)
			require.NoError(s.t, s.api.Patch(s.t.Context(), s.get(web), client.RawPatch(types.MergePatchType, []byte(`{}`))))
			assert.Equal(s.t, []string{written.want}, namesOf(s, web), "touched: %s with pins %s", written.ref, written.pins)
		}
	}
	long := strings.Repeat("a", 100)
	s.isAbsent(long)
	web := hostileWorkload(s, "long", envFrom(long))
	annotate(s, web, wellknown.Pins, "configmap/gone="+long)
	s.admitted(web)
	assert.Equal(s.t, []string{long}, namesOf(s, web))
}

func abroadInExclude(s *space, neighbour string) {
	blue := s.current("app")
	for i, name := range paths(neighbour) {
		web := hostileWorkload(s, fmt.Sprint("web-", i), envFrom("app"))
		annotate(s, web, wellknown.Exclude, "configmap/"+name+",secret/"+name+","+name)
		s.admitted(web)
		assert.Equal(s.t, blue, s.pin(web, "app"), "excluding %s", name)
	}
}

// abroadInObserved: values of labels have no slashes, which leaves dots.
func abroadInObserved(s *space, neighbour string) {
	blue := s.current("app")
	s.absent["secret/app"] = true
	for i, value := range []string{neighbour, neighbour + "..app", "a..b", "A", strings.Repeat("0", 63), snapshot.Suffix(blue)} {
		web := hostileWorkload(s, fmt.Sprint("web-", i), envFrom("app"), secretEnv("app"))
		labels := web.GetLabels()
		for _, source := range []string{"app", neighbour, neighbour + "_app", neighbour + "..app", "app-" + neighbour} {
			labels[wellknown.ObservedPrefix+"configmap."+source] = value
			labels[wellknown.ObservedPrefix+"secret."+source] = value
		}
		web.SetLabels(labels)
		s.admitted(web)
		assert.Equal(s.t, blue, s.pin(web, "app"))
		for key, now := range s.get(web).GetLabels() {
			if strings.HasPrefix(key, wellknown.ObservedPrefix) {
				assert.Equal(s.t, snapshot.ObservedLabel(wellknown.ConfigMap, "app")+"="+snapshot.Suffix(blue), key+"="+now, "no other is left")
			}
		}
	}
}

// abroadOnSnapshots makes what is a snapshot beyond doubt, of a source that can't be
// called so. In a name that is cut, the path is in what is cut off.
func abroadOnSnapshots(s *space, neighbour string) {
	anybody := s.as(someone, masters)
	for i, source := range append(paths(neighbour), strings.Repeat("a", 240)+"/../../"+neighbour+"/app") {
		made := snapshot.Of(snapshot.FromConfigMap(&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.name, Name: source},
			Data:       map[string]string{colour: "planted"},
		}), snapshot.Lengths[0]).ConfigMap()
		made.Annotations[wellknown.Revision] = "7"
		if len(source) <= 240 {
			made.Name, made.Labels[wellknown.SnapshotOf] = fmt.Sprint("app-00000000000", i), "app"
		}
		require.NoError(s.t, anybody.Create(s.t.Context(), made), source)
		web := hostileWorkload(s, fmt.Sprint("web-", i), envFrom(made.Name), volume("app"))
		written := web.DeepCopy()
		s.admitted(web)
		s.sameButNames(written, s.get(web))
		assert.Equal(s.t, []string{s.current("app"), made.Name}, namesOf(s, web), "a snapshot of %s", source)
		s.kubectl("label", "deployment/"+web.GetName(), wellknown.Enabled+"=false", "--overwrite")
		assert.Equal(s.t, []string{"app", made.Name}, namesOf(s, web), "opted out")
		s.kubectl("label", "deployment/"+web.GetName(), wellknown.Enabled+"=true", "--overwrite")
		assert.Equal(s.t, made.ResourceVersion, s.readConfigMap(made.Name).ResourceVersion, "nobody touches it")
	}
}

// planted creates a snapshot of app by hand, with a number.
func (s *space) planted(value, revision string, lie func(*corev1.ConfigMap)) *corev1.ConfigMap {
	s.t.Helper()
	made := snapshot.Of(snapshot.FromConfigMap(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.name, Name: "app"},
		Data:       map[string]string{colour: value},
	}), snapshot.Lengths[0]).ConfigMap()
	made.Annotations[wellknown.Revision] = revision
	if lie != nil {
		lie(made)
	}
	require.NoError(s.t, s.as(someone, masters).Create(s.t.Context(), made))
	return made
}

// highest waits until a snapshot has a number that none is above.
func (s *space) highest(name string) {
	s.t.Helper()
	s.eventually(name+" has the highest number", func() (string, bool) {
		all := s.snapshots()
		for _, other := range all {
			if snapshot.Revision(snapshot.FromConfigMap(other)) > snapshot.Revision(snapshot.FromConfigMap(all[name])) {
				return pretty(s, s.numbers()), false
			}
		}
		return pretty(s, s.numbers()), snapshot.Revision(snapshot.FromConfigMap(all[name])) > 0
	})
}

// unremembering is a workload that keeps no history, of a source of which no unused
// snapshot is retained.
func (s *space) unremembering() (web *unstructured.Unstructured, blue string) {
	s.t.Helper()
	s.forgetful("app", "blue")
	web = optedIn(s.t, "Deployment", "web", envFrom("app"))
	historyOf(s, 0)(web)
	s.apply(web)
	blue = s.showing(web, "app", "blue")
	s.newestIs(web, blue)
	return web, blue
}

func injected(revision string) func(*space) {
	return func(s *space) {
		web, blue := s.unremembering()
		never := s.planted("never", revision, nil)
		s.pass()
		assert.Equal(s.t, blue, s.pin(web, "app"))
		s.apply(web)
		late := s.deploy("Deployment", "late", envFrom("app"))
		assert.Equal(s.t, blue, s.pin(late, "app"))
		s.remove(late)
		assert.Zero(s.t, s.rollouts(web))
		s.highest(blue)

		s.edit("app", "green")
		green := s.showing(web, "app", "green")
		s.newestIs(web, green)
		s.highest(green)
		s.edit("app", "blue")
		assert.Equal(s.t, blue, s.showing(web, "app", "blue"))
		s.newestIs(web, blue)
		s.highest(blue)
		s.verify()
		s.collected(green, never.Name)
		s.survives(blue)
	}
}

func liar(s *space) {
	web, blue := s.unremembering()
	lie := s.planted("green", "999", func(c *corev1.ConfigMap) { c.Data[colour] = "never" })

	s.edit("app", "green")
	green := s.showing(web, "app", "green")
	assert.Equal(s.t, "app-"+lie.Annotations[wellknown.Digest][:24], green)
	s.event("app", wellknown.ReasonNameTaken, nameTaken)
	s.newestIs(web, green)
	s.highest(green)
	s.edit("app", "red")
	red := s.showing(web, "app", "red")
	s.newestIs(web, red)
	s.collected(blue, green)
	s.survives(red)
	assert.Equal(s.t, lie.ResourceVersion, s.readConfigMap(lie.Name).ResourceVersion, "nobody touches what lies")
}

// victims are labelled by somebody whom the policy doesn't stop.
func victims(s *space) {
	web := s.through("Deployment", "app", historyOf(s, 0), "blue", "green")
	admin := s.as(someone, admins, masters)
	digest := hashing.Sum(hashing.Content{Kind: "ConfigMap", Source: "app", Data: map[string]string{colour: "victim"}}).String()
	marks := func(name, source, digest string) *corev1.ConfigMap {
		c := configMap(name, map[string]string{colour: "victim"})
		c.Namespace = s.name
		c.Labels = map[string]string{wellknown.SnapshotOf: source}
		c.Annotations = map[string]string{wellknown.Source: source, wellknown.Digest: digest}
		return c
	}
	mutable := marks("app-"+digest[:12], "app", digest)
	all := []*corev1.ConfigMap{
		marks("settings", "app", digest),
		marks("app-0123456789ab", "app", "0123456789ab"+digest[12:]),
		marks("app-ba9876543210", "app", digest),
		marks("app-"+digest[:24], "web", digest),
	}
	for _, c := range all {
		yes := true
		c.Immutable = &yes
		require.NoError(s.t, admin.Create(s.t.Context(), c))
	}
	unlabelled := mutable.DeepCopy()
	unlabelled.Labels = nil
	require.NoError(s.t, admin.Create(s.t.Context(), unlabelled))
	mutable.ResourceVersion = unlabelled.ResourceVersion
	require.NoError(s.t, admin.Update(s.t.Context(), mutable))

	s.collected(web.of("blue")...)
	for _, c := range append(all, mutable) {
		found := s.readConfigMap(c.Name)
		assert.Equal(s.t, c.UID, found.UID, c.Name)
		assert.Equal(s.t, c.ResourceVersion, found.ResourceVersion, c.Name)
	}
	s.survives(web.snapshots["green"])
}

func neverRests(s *space) {
	const every, burst = time.Minute, 3
	flags := []string{"--snapshot-burst=20", "--snapshot-every=10s", fmt.Sprint("--rollout-burst=", burst), "--rollout-every=" + every.String()}
	s.insteadOfVersioner(flags, []string{"by-default"}, func() {
		other := s.twin()
		other.source("app", "blue")
		normal := other.deploy("Deployment", "normal", envFrom("app"))
		other.rolledOut(normal, 1)
		s.source("app", "0")
		web := s.deploy("Deployment", "web", envFrom("app"))
		s.rolledOut(web, 1)

		began := time.Now()
		var last int
		var group errgroup.Group
		group.Go(func() (err error) {
			last, err = s.hammer(s.t.Context())
			return err
		})
		other.edit("app", "green")
		other.showing(normal, "app", "green")
		other.rolledOut(normal, 2)
		require.NoError(s.t, group.Wait())
		s.within(burst*every, "the last content is rolled out", func() (string, bool) {
			got := s.colourOf(web, "app")
			return got, got == strconv.Itoa(last)
		})
		s.pass()
		took := time.Since(began)
		rollouts, kept := s.rollouts(web), len(s.snapshots())
		s.t.Logf("%d edits; after %s there were %d rollouts and %d snapshots", last, took, rollouts, kept)
		assert.LessOrEqual(s.t, rollouts, burst+1+int(took/every))
		assert.LessOrEqual(s.t, kept, 20+1+int(took/(10*time.Second))+rollouts)
		other.verify()
	})
}

// hammer edits app a hundred times a second for ten seconds, and returns what it
// holds then.
func (s *space) hammer(ctx context.Context) (last int, err error) {
	rhythm := time.NewTicker(10 * time.Millisecond)
	defer rhythm.Stop()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		<-rhythm.C
		last++
		source := configMap("app", nil)
		source.SetNamespace(s.name)
		patch := fmt.Sprintf(`{"data":{%q:"%d"}}`, colour, last)
		if err := s.api.Patch(ctx, source, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
			return last, err
		}
	}
	return last, nil
}
