package conformance

import (
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/utils/ptr"

	"github.com/configpin/configpin/internal/wellknown"
)

// naming is about the names of snapshots, and what sources can be.
var naming = []scenario{
	{"the same names in two namespaces never mix", twoNamespaces},
	{"a name that something else has is never used: other content", squatted(func(_ *space, c *corev1.ConfigMap) { c.Data[colour] = "other" })},
	{"a name that something else has is never used: the same content, but mutable", squatted(func(*space, *corev1.ConfigMap) {})},
	{"a name that something else has is never used: the marks of a snapshot, but other content", squatted(pretend)},
	{"a source can hold nothing", content(func(c *corev1.ConfigMap) { c.Data = nil })},
	{"a source can hold bytes alone", content(func(c *corev1.ConfigMap) { c.Data, c.BinaryData = nil, map[string][]byte{"b": {0xff, 0, 1}} })},
	{"a source can have the longest name", content(func(c *corev1.ConfigMap) { c.Name = strings.Repeat("a", longest) })},
	{"a source can have a name that would be cut at a dot", content(func(c *corev1.ConfigMap) {
		c.Name = strings.Repeat("a", longest-14) + "." + strings.Repeat("b", 13)
	})},
	{"a source can have a name with dots", content(func(c *corev1.ConfigMap) { c.Name = "app.example.com" })},
}

// large is about what takes long: the webhook has three seconds for a review, which is
// little for a MiB while a machine does much else.
var large = []scenario{
	{"a source can hold a MiB", holdsMiB},
	{"with Secrets: a source can hold a MiB", withSecrets(holdsMiB)},
}

var holdsMiB = content(func(c *corev1.ConfigMap) { c.Data = map[string]string{"large": strings.Repeat("x", 1<<20)} })

// longest is how long the name of a ConfigMap can be.
const longest = 253

func twoNamespaces(s *space) {
	other := s.twin()
	for _, n := range []*space{s, other} {
		n.source("app", "blue")
		n.source("extra", n.name)
		n.deploy("Deployment", "web", envFrom("app"), volume("extra"))
	}
	web := optedIn(s.t, "Deployment", "web")
	assert.Equal(s.t, s.showing(web, "app", "blue"), other.showing(web, "app", "blue"), "a name comes from the content alone")
	assert.NotEqual(s.t, s.showing(web, "extra", s.name), other.showing(web, "extra", other.name))
	other.pass()
	before := other.content()
	s.edit("app", "green")
	s.showing(web, "app", "green")
	s.pass()
	assert.Equal(s.t, before, other.content(), "a change here is none there")
	other.verify()
}

// pretend gives a ConfigMap what a snapshot is known by, but for its content.
func pretend(s *space, c *corev1.ConfigMap) {
	digest := s.object(c).Digest("app").String()
	c.Labels = map[string]string{wellknown.SnapshotOf: "app"}
	c.Annotations = map[string]string{wellknown.Source: "app", wellknown.Digest: digest}
	if s.secrets {
		c.Annotations[wellknown.DigestKey] = s.digestKey().ID()
	}
	c.Immutable = ptr.To(true)
	c.Data[colour] = "other"
}

// nameTaken is the note of an Event.
const nameTaken = "Something else has the name of its snapshot, which is kept under a longer one"

func squatted(spoil func(*space, *corev1.ConfigMap)) func(*space) {
	return func(s *space) {
		source := versioned(configMap("app", map[string]string{colour: "blue"}))
		digest := s.object(source).Digest("app").String()
		taken, next := "app-"+digest[:12], "app-"+digest[:24]
		squatter := configMap(taken, map[string]string{colour: "blue"})
		spoil(s, squatter)
		s.create(squatter)
		before := s.readConfigMap(taken)

		s.create(source)
		web := s.deploy("Deployment", "web", envFrom("app"))
		assert.Equal(s.t, next, s.showing(web, "app", "blue"))
		s.event("app", wellknown.ReasonNameTaken, nameTaken)

		s.edit("app", "green")
		s.showing(web, "app", "green")
		s.edit("app", "blue")
		assert.Equal(s.t, next, s.showing(web, "app", "blue"))
		s.pass()
		assert.Equal(s.t, before, s.readConfigMap(taken), "nobody touched what was there")
		assert.Equal(s.t, 2, s.rollouts(web))
	}
}

// event waits for an Event of an object.
func (s *space) event(name, reason, note string) {
	s.t.Helper()
	s.eventThat(name, reason, note, func(got string) bool { return got == note })
}

// eventBeginning is for notes that end in what the API server says.
func (s *space) eventBeginning(name, reason, note string) {
	s.t.Helper()
	s.eventThat(name, reason, note+"…", func(got string) bool { return strings.HasPrefix(got, note) && got != note })
}

func (s *space) eventThat(name, reason, want string, is func(note string) bool) {
	s.t.Helper()
	s.eventually("an Event "+reason+" of "+name+": "+want, func() (string, bool) {
		var saw []string
		for _, event := range list[eventsv1.EventList](s).Items {
			if event.Regarding.Name == name && event.Reason == reason && is(event.Note) {
				return "", true
			}
			saw = append(saw, event.Regarding.Name+" "+event.Reason+": "+event.Note)
		}
		return strings.Join(saw, "\n"), false
	})
}

func content(change func(*corev1.ConfigMap)) func(*space) {
	return func(s *space) {
		source := versioned(configMap("app", map[string]string{colour: "blue"}))
		change(source)
		first := source.DeepCopy()
		if s.secrets {
			first = configMapOf(secretOf(source)) // which knows no difference between text and bytes
		}
		s.create(source)
		web := s.deploy("Deployment", "web", envFrom(source.Name), volume(source.Name))
		require.NotEmpty(s.t, s.current(source.Name))
		assert.Equal(s.t, s.current(source.Name), s.pin(web, source.Name))
		assert.True(s.t, sameContent(first, s.readConfigMap(s.pin(web, source.Name))))
		s.rolledOut(web, 1)

		s.edited(source)
		s.eventually("the workload is pinned to the new content", func() (string, bool) {
			return s.pin(web, source.Name), s.pin(web, source.Name) == s.current(source.Name)
		})
		s.rolledOut(web, 2)
		s.undo(web)
		assert.True(s.t, sameContent(first, s.readConfigMap(s.pin(web, source.Name))))
		s.rolledOut(web, 2)
		s.pass()
		assert.Equal(s.t, 2, s.rollouts(web))
	}
}

// edited gives a source one byte more, or other bytes if it is full.
func (s *space) edited(source *corev1.ConfigMap) {
	s.t.Helper()
	live := s.readConfigMap(source.Name)
	if large, full := live.Data["large"]; full {
		live.Data["large"] = large[1:] + "y"
	} else {
		live.BinaryData = map[string][]byte{"more": {1}}
	}
	s.update(live)
}
