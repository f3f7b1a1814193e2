package watch

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"k8s.io/client-go/util/workqueue"
)

func TestNamespacesTakeTurns(t *testing.T) {
	queue := NewQueue("", workqueue.DefaultTypedControllerRateLimiter[string](), func(key string) string {
		namespace, _, _ := strings.Cut(key, "/")
		return namespace
	})
	t.Cleanup(queue.ShutDown)
	next := func() string {
		key, _ := queue.Get()
		queue.Done(key)
		return key
	}
	for _, key := range []string{"many/1", "many/2", "many/3", "many/1", "few/1", "few/2", "one/1"} {
		queue.Add(key)
	}
	var got []string
	for range 4 {
		got = append(got, next())
	}
	queue.Add("late/1")
	for queue.Len() > 0 {
		got = append(got, next())
	}
	assert.Equal(t, []string{"many/1", "few/1", "one/1", "many/2", "few/2", "many/3", "late/1"}, got)
}
