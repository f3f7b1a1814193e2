package snapshot_test

import (
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// diary is a source and its snapshots, as the versioner writes them.
type diary struct {
	source    snapshot.Object
	snapshots map[string]snapshot.Object
	current   string
	revision  int
}

func newDiary() *diary {
	return &diary{source: snapshot.Object{Annotations: map[string]string{}}, snapshots: map[string]snapshot.Object{}}
}

// look does what the versioner does when it sees that the source changed.
func (d *diary) look(content string) {
	if content == d.current {
		d.annotate(content, snapshot.Follows(d.snapshots[content], d.source))
		return
	}
	kept, there := d.snapshots[content]
	if !there {
		kept = snapshot.Object{Name: content, Annotations: map[string]string{}}
		d.snapshots[content] = kept
	}
	d.revision++
	d.annotate(content, snapshot.Began(kept, d.source, d.snapshots[d.current]))
	d.annotate(content, map[string]any{wellknown.Revision: strconv.Itoa(d.revision)})
	d.current = content
}

func (d *diary) annotate(content string, annotations map[string]any) {
	kept := maps.Clone(d.snapshots[content].Annotations)
	for key, value := range annotations {
		if value == nil {
			delete(kept, key)
		} else {
			kept[key] = value.(string)
		}
	}
	d.snapshots[content] = snapshot.Object{Name: content, Annotations: kept}
}

func (d *diary) cause(content string) string {
	return d.snapshots[content].Annotations[wellknown.ChangeCause]
}

// write is one write of a person: a content, which may be the same, and a cause.
type write struct{ content, cause string }

func (d *diary) write(w write) {
	d.source.Annotations[wellknown.KubernetesChangeCause] = w.cause
	if w.cause == "" {
		delete(d.source.Annotations, wellknown.KubernetesChangeCause)
	}
	d.look(w.content)
}

func TestChangeCauses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		writes []write
		want   map[string]string
	}{
		{
			"edit, then annotate: each is said of what it is about",
			[]write{{"one", ""}, {"one", "first"}, {"two", "first"}, {"two", "second"}, {"three", "second"}, {"three", "third"}},
			map[string]string{"one": "first", "two": "second", "three": "third"},
		},
		{
			"edit and annotate at once",
			[]write{{"one", "first"}, {"two", "second"}},
			map[string]string{"one": "first", "two": "second"},
		},
		{
			"a cause that stays is said once, however many contents come",
			[]write{{"one", "first"}, {"two", "first"}, {"three", "first"}, {"four", "first"}},
			map[string]string{"one": "first", "two": "", "three": "", "four": ""},
		},
		{
			"what was said of the content before last can be said again",
			[]write{{"one", "rotate"}, {"two", "fix"}, {"three", "rotate"}},
			map[string]string{"one": "rotate", "two": "fix", "three": "rotate"},
		},
		{
			"a cause that was said of nothing since is said when somebody writes it anew",
			[]write{{"one", "rotate"}, {"two", "rotate"}, {"two", "fix"}, {"two", "rotate"}},
			map[string]string{"one": "rotate", "two": "rotate"},
		},
		{
			"one that is corrected is corrected",
			[]write{{"one", "frist"}, {"one", "first"}},
			map[string]string{"one": "first"},
		},
		{
			"one that is taken away is taken away, and can be written again",
			[]write{{"one", "first"}, {"one", ""}, {"two", "first"}},
			map[string]string{"one": "", "two": "first"},
		},
		{
			"one that goes with an edit stays with what it was about",
			[]write{{"one", "first"}, {"two", ""}},
			map[string]string{"one": "first", "two": ""},
		},
		{
			"a content that comes back keeps its own",
			[]write{{"one", "first"}, {"two", "second"}, {"one", "second"}, {"three", "second"}},
			map[string]string{"one": "first", "two": "second", "three": ""},
		},
		{
			"without any on the source, too",
			[]write{{"one", "first"}, {"two", ""}, {"one", ""}, {"one", ""}},
			map[string]string{"one": "first", "two": ""},
		},
		{
			"although the cause of another is taken away with it",
			[]write{{"one", "first"}, {"two", "second"}, {"one", ""}},
			map[string]string{"one": "first", "two": "second"},
		},
		{
			"unless somebody says why it came back",
			[]write{{"one", "first"}, {"two", "second"}, {"one", "second"}, {"one", "two was bad"}},
			map[string]string{"one": "two was bad", "two": "second"},
		},
		{
			"a longer one is cut, and known again",
			[]write{{"one", strings.Repeat("ä", 2000)}, {"two", strings.Repeat("ä", 2000)}},
			map[string]string{"one": strings.Repeat("ä", 510) + "...", "two": ""},
		},
		{
			"one that just fits isn't",
			[]write{{"one", strings.Repeat("a", 1024)}, {"two", strings.Repeat("a", 1025)}},
			map[string]string{"one": strings.Repeat("a", 1024), "two": strings.Repeat("a", 1021) + "..."},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDiary()
			for _, w := range test.writes {
				d.write(w)
			}
			got := map[string]string{}
			for content := range d.snapshots {
				got[content] = d.cause(content)
			}
			assert.Equal(t, test.want, got)
		})
	}
}

// TestChangeCausesOfEarlierReleases: their snapshots say what the source said when they
// were made, about them or not.
func TestChangeCausesOfEarlierReleases(t *testing.T) {
	t.Parallel()
	said := func(cause string, revision int) snapshot.Object {
		return snapshot.Object{Name: cause, Annotations: map[string]string{wellknown.ChangeCause: cause, wellknown.Revision: strconv.Itoa(revision)}}
	}
	source := snapshot.Object{Annotations: map[string]string{wellknown.KubernetesChangeCause: "second"}}
	assert.Equal(t, map[string]any{wellknown.ChangeCause: "second"}, snapshot.Follows(said("first", 2), source), "what was annotated since is followed")
	assert.Empty(t, snapshot.Follows(said("second", 2), source))
	assert.Equal(t, map[string]any{wellknown.ChangeCause: nil, wellknown.EarlierChangeCause: "second"}, snapshot.Began(said("second", 0), source, said("second", 1)),
		"one that an earlier webhook made, and nobody has numbered")
}

// TestChangeCausesChangeNothingElse: an annotation that is right is not written once more,
// and none is made where nobody ever said anything.
func TestChangeCausesChangeNothingElse(t *testing.T) {
	t.Parallel()
	snap := func(name, revision string, annotations map[string]string) snapshot.Object {
		if revision != "" {
			annotations[wellknown.Revision] = revision
		}
		return snapshot.Object{Name: name, Annotations: annotations}
	}
	silent, second := snapshot.Object{}, snapshot.Object{Annotations: map[string]string{wellknown.KubernetesChangeCause: "second"}}
	assert.Empty(t, snapshot.Began(snap("one", "", map[string]string{}), silent, snapshot.Object{}))
	assert.Empty(t, snapshot.Began(snap("two", "", map[string]string{}), silent, snap("one", "1", map[string]string{})))
	assert.Equal(t, map[string]any{wellknown.EarlierChangeCause: "second"},
		snapshot.Began(snap("one", "1", map[string]string{wellknown.ChangeCause: "first"}), second, snap("two", "2", map[string]string{wellknown.ChangeCause: "second"})))
	assert.Equal(t, map[string]any{wellknown.ChangeCause: "second"},
		snapshot.Began(snap("one", "1", map[string]string{}), second, snap("two", "2", map[string]string{})))
	assert.Empty(t, snapshot.Began(snap("one", "", map[string]string{wellknown.ChangeCause: "second"}), second, snap("two", "2", map[string]string{})),
		"whoever made it says so already")
}

// TestCause is what is shown of a content that nobody has kept yet.
func TestCause(t *testing.T) {
	t.Parallel()
	source := snapshot.Object{Annotations: map[string]string{wellknown.KubernetesChangeCause: "second"}}
	before := func(cause string) snapshot.Object {
		return snapshot.Object{Name: "app-1", Annotations: map[string]string{wellknown.ChangeCause: cause}}
	}
	assert.Equal(t, "second", snapshot.Cause(source, snapshot.Object{}))
	assert.Equal(t, "second", snapshot.Cause(source, before("first")))
	assert.Empty(t, snapshot.Cause(source, before("second")))
}

// TestChangeCausesSettle: looking again changes nothing, also for a versioner that
// remembers nothing; what is current says what was written last, if that was news.
func TestChangeCausesSettle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := newDiary()
		words := rapid.SampledFrom([]string{"", "a", "b", "c"})
		cause := ""
		for range rapid.IntRange(1, 20).Draw(t, "writes") {
			w := write{rapid.SampledFrom([]string{"one", "two", "three"}).Draw(t, "content"), words.Draw(t, "cause")}
			began := w.content != d.current
			_, known := d.snapshots[w.content]
			d.write(w)
			switch {
			case w.cause != cause && !began, w.cause != cause && !known:
				assert.Equal(t, w.cause, d.cause(w.content), "it was said of this")
			case began && !known && len(d.snapshots) > 1:
				assert.Empty(t, d.cause(w.content), "it was said of another")
			}
			cause = w.cause
			assert.Empty(t, snapshot.Follows(d.snapshots[d.current], d.source))
			assert.Empty(t, snapshot.Began(d.snapshots[d.current], d.source, snapshot.Object{Name: "any"}), "numbered again, as when others come out of a backup")
		}
	})
}
