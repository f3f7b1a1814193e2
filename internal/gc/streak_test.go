package gc

import (
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
)

// TestANamespaceThatIsHidden: who may not look at one deletes nothing there, and goes
// on, however many there are.
func TestANamespaceThatIsHidden(t *testing.T) {
	for name, test := range map[string]struct {
		hidden  []string
		aborted float64
		marked  bool // in the last one
	}{
		"one":              {[]string{"a"}, 1, true},
		"here and there":   {[]string{"a", "b", "d"}, 3, true},
		"as many in a row": {[]string{"b", "c", "d"}, 3, true},
		"all of them":      {[]string{"a", "b", "c", "d", "e"}, 5, false},
		"the last":         {[]string{"e"}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			last := ""
			for _, namespace := range []string{"a", "b", "c", "d", "e"} {
				last = w.source(namespace, "app", "blue", "green")[0]
			}
			no := apierrors.NewForbidden(configMaps, "", errors.New("no"))
			w.hidden = map[string]error{}
			for _, namespace := range test.hidden {
				w.hidden[namespace] = no
			}
			c, _ := w.collector()
			before := testutil.ToFloat64(aborted.WithLabelValues(reasonForbidden))
			require.ErrorIs(t, c.Pass(t.Context()), no)
			assert.InDelta(t, test.aborted, testutil.ToFloat64(aborted.WithLabelValues(reasonForbidden))-before, 0)
			assert.Equal(t, test.marked, w.objects[cluster.Key{Namespace: "e", Target: refs.Target{Kind: wellknown.ConfigMap, Name: last}}].Annotations[wellknown.UnusedSince] != "")
		})
	}
}

// TestManyErrorsInARowEndThePass: what is forbidden isn't one of them, when everything is
// looked at and when something is done.
func TestManyErrorsInARowEndThePass(t *testing.T) {
	trouble, no := errors.New("trouble"), apierrors.NewForbidden(configMaps, "app", errors.New("no"))
	namespaces := []string{"a", "b", "c", "d", "e"}
	for name, test := range map[string]struct {
		fails []error // in the namespaces
		ends  bool    // before the last one
	}{
		"trouble":                            {[]error{trouble, trouble, trouble}, true},
		"trouble, and something between":     {[]error{trouble, trouble, nil, trouble}, false},
		"forbidden":                          {[]error{no, no, no, no}, false},
		"trouble, and forbidden between":     {[]error{trouble, trouble, no, trouble}, true},
		"two in trouble, and others between": {[]error{trouble, no, no, trouble}, false},
	} {
		for _, when := range []string{"looking", "doing"} {
			t.Run(name+" "+when, func(t *testing.T) {
				w := newWorld()
				w.hidden = map[string]error{}
				last := ""
				for i, namespace := range namespaces {
					last = w.source(namespace, "app", "blue", "green")[0]
					switch {
					case i >= len(test.fails) || test.fails[i] == nil:
					case when == "looking":
						w.hidden[namespace] = test.fails[i]
					default:
						w.fails[namespace] = test.fails[i]
					}
				}
				c, _ := w.collector()
				require.Error(t, c.Pass(t.Context()))
				marked := w.objects[cluster.Key{Namespace: "e", Target: refs.Target{Kind: wellknown.ConfigMap, Name: last}}].Annotations[wellknown.UnusedSince] != ""
				assert.Equal(t, test.ends, !marked)
			})
		}
	}
}
