package cli

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/configpin/configpin/internal/cluster"
)

// watched runs a watch of answers and errors, one after another, to its end.
func watched(t *testing.T, out output, shows ...any) (printed, complaint string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	s := &session{
		program: &program{IOStreams: genericiooptions.IOStreams{Out: &stdout, ErrOut: &stderr}},
		noted:   map[string]bool{},
	}
	changed := make(chan struct{}, len(shows))
	err = s.watch(t.Context(), out, changed, func() (answer, error) {
		next := shows[0]
		shows = shows[1:]
		changed <- struct{}{}
		if err, failed := next.(error); failed {
			return answer{}, err
		}
		text := next.(string)
		return answer{report: text, table: table{columns: []column{{name: "Said"}}, rows: [][]string{{text}}}}, nil
	})
	return stdout.String(), stderr.String(), err
}

var (
	unreached = &url.Error{Op: "Get", URL: "https://127.0.0.1:1", Err: errors.New("connection refused")}
	busy      = apierrors.NewTooManyRequestsError("busy")
	missing   = apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, "app")
)

func TestWatchOutlastsTheAPIServer(t *testing.T) {
	t.Parallel()
	printed, complaint, err := watched(t, output{}, "one", unreached, busy, "two", busy, "three", missing)
	assert.ErrorIs(t, err, missing)
	assert.Equal(t, "SAID\none\ntwo\nthree\n", printed)
	assert.Equal(t, 2, strings.Count(complaint, ": trying again\n"), "once for each time: %s", complaint)
}

func TestWatchNeedsAFirstAnswer(t *testing.T) {
	t.Parallel()
	_, _, err := watched(t, output{}, unreached)
	assert.ErrorIs(t, err, unreached)
}

func TestWatchSeparatesDocuments(t *testing.T) {
	t.Parallel()
	printed, _, err := watched(t, output{format: formatYAML}, "one", "one", "two", missing)
	assert.ErrorIs(t, err, missing)
	assert.Equal(t, "one\n---\ntwo\n", printed)
}

func TestPasses(t *testing.T) {
	t.Parallel()
	assert.True(t, passes(apierrors.NewGenericServerResponse(http.StatusBadGateway, "get", schema.GroupResource{}, "", "", 0, true)))
	assert.False(t, passes(apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", nil)))
	assert.True(t, passes(apierrors.NewResourceExpired("the list is too old")))
	assert.True(t, passes(fmt.Errorf("listing pods: %w: it was cut off", cluster.ErrPartial)))
}
