package gc

import (
	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/census"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/retention"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// family is a source with its snapshots.
type family struct {
	key       cluster.Key
	source    snapshot.Object // zero where there is none
	gone      bool            // nothing is called like the source
	current   string          // the digest of what the source holds; empty where there is none
	snapshots []kept
}

// kept is a snapshot, and the digest of what it holds: the one that it claims, or,
// where it was read, the one that it has by the present key.
type kept struct {
	snapshot.Object
	digest string
}

// familiesOf sorts what was counted in a namespace into families. What a source
// holds isn't known from its metadata: its snapshot of the highest revision is
// taken for current.
func familiesOf(counted census.Space) map[cluster.Key]*family {
	families := map[cluster.Key]*family{}
	of := func(target refs.Target) *family {
		key := cluster.Key{Namespace: counted.Namespace, Target: target}
		if families[key] == nil {
			families[key] = &family{key: key, gone: true}
		}
		return families[key]
	}
	for _, object := range counted.Objects {
		source, digest, claimed := snapshot.Claimed(object)
		switch {
		case !claimed:
			of(refs.Target{Kind: object.Kind, Name: object.Name}).source = object
		case !object.Terminating:
			f := of(refs.Target{Kind: object.Kind, Name: source})
			f.snapshots = append(f.snapshots, kept{object, digest})
		}
	}
	isThere := func(target refs.Target) {
		if f := families[cluster.Key{Namespace: counted.Namespace, Target: target}]; f != nil {
			f.gone = false
		}
	}
	for _, object := range counted.Objects {
		isThere(refs.Target{Kind: object.Kind, Name: object.Name})
	}
	for _, other := range counted.Others {
		isThere(other)
	}
	for _, f := range families {
		if versioned, _ := snapshot.Versioned(f.source); versioned {
			f.current = f.newest()
		}
	}
	return families
}

// newest is the digest of the snapshot of the highest revision: empty where several
// have it, as it is when somebody wrote the highest that there is.
func (f *family) newest() string {
	highest, digest := 0, ""
	for _, object := range f.snapshots {
		switch revision := snapshot.Revision(object.Object); {
		case revision > highest:
			highest, digest = revision, object.digest
		case revision == highest && digest != object.digest:
			digest = ""
		}
	}
	return digest
}

// decide returns the verdicts about a family's snapshots.
func (c *Collector) decide(f *family, used map[string]bool) []retention.Verdict {
	limit, _ := retention.Limit(f.source.Annotations[wellknown.HistoryLimit], c.Options.HistoryLimit[f.key.Kind])
	elapsed := c.Clock.Elapsed()
	known := retention.Source{Current: f.current, Limit: limit, Gone: f.gone, GoneAfter: c.Options.GoneAfter[f.key.Kind]}
	for _, object := range f.snapshots {
		known.Snapshots = append(known.Snapshots, retention.Snapshot{
			Name:     object.Name,
			Digest:   object.digest,
			Revision: snapshot.Revision(object.Object),
			Created:  object.Created,
			Used:     used[object.Name],
			Mark:     object.Annotations[wellknown.UnusedSince],
			Seen:     c.seen.of(object.Object, elapsed),
		})
	}
	return c.Options.Rules.Decide(known, c.Clock.Now())
}

// usedIn returns those of the names of snapshots that something in the namespace
// mentions.
func usedIn(counted census.Space) map[string]bool {
	names := retention.Names{}
	for _, object := range counted.Objects {
		if _, _, claimed := snapshot.Claimed(object); claimed {
			names.Add(object.Name)
		}
	}
	used := map[string]bool{}
	for _, mention := range counted.Mentions {
		names.In(mention, func(name string) { used[name] = true })
	}
	return used
}
