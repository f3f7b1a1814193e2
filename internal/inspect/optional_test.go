package inspect_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/workload"
)

// Pods start without an optional source, so nothing has to be done where it is missing.
// They don't where one of the refs needs it.
func TestStatusOfAnOptionalSourceThatIsMissing(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		one    bool // optional
		other  bool
		pins   string
		reason string
		ok     bool
	}{
		{"all refs are optional", true, true, "", "it does not exist", true},
		{"one isn't", true, false, "", "it does not exist", false},
		{"none is", false, false, "", "it does not exist", false},
		{"it was pinned once, and is optional", true, true, "configmap/app=app-000000000001", "the source does not exist", true},
		{"it was pinned once, and is needed", true, false, "configmap/app=app-000000000001", "the source does not exist", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			object, err := workload.Lookup("apps", "Deployment").Read(fmt.Sprintf(`{
				"metadata": {"name": "web", "namespace": "shop", "labels": {"configpin.io/enabled": "true"}},
				"spec": {"template": {"metadata": {"annotations": {"configpin.io/pins": %q}}, "spec": {"volumes": [
					{"configMap": {"name": "app", "optional": %t}}, {"configMap": {"name": "app", "optional": %t}}]}}}}`, test.pins, test.one, test.other))
			require.NoError(t, err)
			found := inspect.Subject{Object: object}.Status(index())
			require.Len(t, found, 1)
			assert.Equal(t, inspect.Unpinned, found[0].State)
			assert.Equal(t, test.reason, found[0].Reason)
			assert.Equal(t, test.ok, found[0].OK)
		})
	}
}
