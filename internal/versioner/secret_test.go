package versioner_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/events"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

var db = cluster.Key{Namespace: "shop", Target: refs.Target{Kind: wellknown.Secret, Name: "db"}}

func secretKey(t *testing.T, fill byte) *hashing.Key {
	t.Helper()
	key, err := hashing.NewKey(bytes.Repeat([]byte{fill}, hashing.KeySize))
	require.NoError(t, err)
	return key
}

func secret(key *hashing.Key) *snapshot.Object {
	return &snapshot.Object{
		Kind: wellknown.Secret, Namespace: "shop", Name: "db", UID: "2", Type: "Opaque", Key: key,
		Annotations: map[string]string{wellknown.Versioned: "true"},
		Data:        map[string]string{"password": "hunter2"},
	}
}

func TestNothingIsToldOfASecretThatIsKept(t *testing.T) {
	w, recorder := newWorld(), events.NewFakeRecorder(10)
	w.source = secret(secretKey(t, 1))
	_, err := w.start(recorder).Reconcile(t.Context(), db)
	require.NoError(t, err)
	assert.Empty(t, recorder.Events)
	for _, made := range w.snapshots {
		assert.Equal(t, "1", made.Annotations[wellknown.Revision])
	}
}

func TestATakenNameOfASecretIsToldWithoutIt(t *testing.T) {
	w, recorder := newWorld(), events.NewFakeRecorder(10)
	w.source = secret(secretKey(t, 1))
	w.taken = 1
	_, err := w.start(recorder).Reconcile(t.Context(), db)
	require.NoError(t, err)
	require.Len(t, recorder.Events, 1)
	assert.Equal(t, "Warning SnapshotNameTaken Something else has the name of its snapshot, which is kept under a longer one", <-recorder.Events)
}

// TestSnapshotsOfALostKeyAreReadThoughNothingCanBeKept: a quota that is full holds up
// no workload that uses what is there.
func TestSnapshotsOfALostKeyAreReadThoughNothingCanBeKept(t *testing.T) {
	w := newWorld()
	made := snapshot.Of(*secret(secretKey(t, 1)), 12)
	made.UID = "old"
	w.snapshots[made.Name] = made
	w.source = secret(secretKey(t, 2))
	w.refuses = &cluster.RefusedError{Err: errors.New("exceeded quota")}
	_, err := w.start(events.NewFakeRecorder(10)).Reconcile(t.Context(), db)
	require.Error(t, err)
	assert.True(t, w.read["old"])
}

// TestSnapshotsOfALostKeyAreRead: whether they are what the source holds can't be
// told from their metadata.
func TestSnapshotsOfALostKeyAreRead(t *testing.T) {
	w, recorder := newWorld(), events.NewFakeRecorder(10)
	made := snapshot.Of(*secret(secretKey(t, 1)), 12)
	made.UID = "old"
	w.snapshots[made.Name] = made
	w.source = secret(secretKey(t, 2))
	v := w.start(recorder)
	_, err := v.Reconcile(t.Context(), db)
	require.NoError(t, err)
	assert.True(t, w.read["old"])
	assert.Len(t, w.snapshots, 2, "what it holds has a name by the present key, too")

	w.read["old"] = false
	before := w.changed
	_, err = v.Reconcile(t.Context(), db)
	require.NoError(t, err)
	assert.Equal(t, before+1, w.changed, "who waits for it is told, though the source holds what it held")

	w.source.Key = secretKey(t, 3)
	v.KeyChanged()
	assert.Empty(t, w.current, "nothing is decided until it is read again")
}
