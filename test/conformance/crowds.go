package conformance

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// crowds are about many writers at a time.
var crowds = []scenario{
	{"60 writers of workloads of one source that changes", manyWriters},
}

func manyWriters(s *space) {
	const writers, rounds = 60, 5
	s.source("app", "0")
	all := make([]*unstructured.Unstructured, writers)
	for i := range all {
		all[i] = optedIn(s.t, "Deployment", "web-"+strconv.Itoa(i), envFrom("app"))
		require.NoError(s.t, unstructured.SetNestedField(all[i].Object, int64(0), "spec", "replicas"))
	}
	// kubectl would take a second each; what counts is how many there are.
	ctx := s.t.Context()
	var group errgroup.Group
	for _, web := range all {
		group.Go(func() error {
			mine := web.DeepCopy()
			mine.SetNamespace(s.name)
			if err := s.api.Create(ctx, mine); err != nil {
				return err
			}
			for round := range rounds {
				patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"round":"%d"}}}}}`, round)
				if err := s.api.Patch(ctx, mine, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for round := range rounds {
		s.edit("app", strconv.Itoa(round+1))
	}
	require.NoError(s.t, group.Wait(), "every write is admitted")
	for _, web := range all {
		s.showing(web, "app", strconv.Itoa(rounds))
	}
	contents := map[string]string{}
	for name, kept := range s.snapshots() {
		assert.Empty(s.t, contents[kept.Data[colour]], "two snapshots of one content")
		assert.Len(s.t, strings.TrimPrefix(name, "app-"), 12)
		contents[kept.Data[colour]] = name
	}
}
