package oracle

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"k8s.io/apimachinery/pkg/types"
)

func noted(facts ...Fact) *seen {
	s := newSeen("counts")
	for _, f := range facts {
		s.note(f, true)
	}
	return s
}

func TestSeenForgetsNamespaces(t *testing.T) {
	t.Parallel()
	s := noted(well()...)
	assert.Len(t, s.history(space).Facts, len(well()))
	assert.True(t, s.watched(space))
	s.note(deleted(20, namespace(1)), true)
	s.note(deleted(21, source(2, "blue")), true)
	assert.Empty(t, s.history(space).Facts)
	assert.True(t, s.watched(space), "what was written there was asked for")

	s = newSeen("counts")
	s.note(namespace(1), false)
	s.note(source(2, "blue"), false)
	assert.Empty(t, s.history(space).Facts)
	assert.False(t, s.watched(space))
}

func TestSeenKeepsWhatIsNew(t *testing.T) {
	t.Parallel()
	s := noted(append(well(), source(20, "blue"), source(21, "green"))...)
	facts := s.history(space).Facts
	assert.Len(t, facts, len(well())+1, "the same again, as when a status is written, says nothing")
	uid := uidOf(configMap, "app")
	there := map[types.UID]uint64{uid: 21, uidOf(configMap, blue): 3}
	assert.True(t, s.caughtUp(configMap, space, there))
	there[uid] = 22
	assert.False(t, s.caughtUp(configMap, space, there), "something newer is there")
	delete(there, uid)
	assert.False(t, s.caughtUp(configMap, space, there), "something is gone")
}

func TestRelistIsAGap(t *testing.T) {
	t.Parallel()
	s := noted(well()...)
	s.relist(configMap, 30, []Fact{source(25, "green"), kept(26, "green")}, func(Fact) bool { return false })
	h := s.history(space)
	assert.Equal(t, []Gap{{configMap, 3, 30}}, h.Gaps)
	w := prepare(h).replay(nil)
	now, _ := w.at("configmap/app")
	assert.Equal(t, uint64(25), now.Revision)
	_, there := w.at("configmap/" + blue)
	assert.False(t, there, "it is gone since")
	_, there = w.at("configmap/" + green)
	assert.True(t, there)
}

func TestOthersAreNamespacesThatCount(t *testing.T) {
	t.Parallel()
	s := noted(namespace(1))
	s.note(Fact{Kind: "Namespace", Name: "other", Namespace: "other"}, true)
	s.note(Fact{Kind: "Namespace", Name: "kube-system", Namespace: "kube-system"}, false)
	assert.Equal(t, []string{"other"}, s.history(space).Others)
}
