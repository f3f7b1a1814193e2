package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/configpin/configpin/internal/cluster/watch"
)

// TestAControllerWaitsForAsLongAsItTakes: by default it gives up after two minutes, and
// the program with it.
func TestAControllerWaitsForAsLongAsItTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var synced atomic.Bool
		feed := &watch.Feed[string]{Begin: func(ctx context.Context, add func(string)) error {
			if err := watch.WaitSynced(ctx, synced.Load); err != nil {
				return err
			}
			add("app")
			return nil
		}}
		reconciled := make(chan string, 1)
		c, err := controller.NewTypedUnmanaged("waiting", controlOptions(1, reconcile.TypedFunc[string](func(_ context.Context, key string) (reconcile.Result, error) {
			reconciled <- key
			return reconcile.Result{}, nil
		}), func(string) string { return "shop" }))
		require.NoError(t, err)
		require.NoError(t, c.Watch(feed))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Start(ctx) }()
		select {
		case err := <-ended:
			require.NoError(t, err, "it waits")
		case <-time.After(24 * time.Hour):
		}
		synced.Store(true)
		assert.Equal(t, "app", <-reconciled)
		cancel()
		assert.NoError(t, <-ended)
	})
}

func TestWhatIsWaitedForIsSaidOnce(t *testing.T) {
	for _, test := range []struct {
		name  string
		ready error
		want  string
	}{
		{"something is", errors.New("still learning what there is: configmaps"), `level=ERROR msg="Not ready yet, and waiting" err="still learning what there is: configmaps"` + "\n"},
		{"nothing is", nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				handler := slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
					if a.Key == slog.TimeKey {
						return slog.Attr{}
					}
					return a
				}})
				ctx := logf.IntoContext(t.Context(), logr.FromSlogHandler(handler))
				require.NoError(t, impatient{func() error { return test.ready }}.Start(ctx))
				assert.Equal(t, test.want, log.String())
			})
		})
	}
}
