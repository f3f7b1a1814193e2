package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// completionTime is how long somebody who pressed the tabulator waits.
const completionTime = 3 * time.Second

// complete proposes arguments: kinds until one is named, and then what names returns.
func (p *program) complete(command *cobra.Command, args []string, begun string, kinds []string,
	names func(ctx context.Context, s *session, namespace, kind string) []string,
) ([]string, cobra.ShellCompDirective) {
	kind, _, named := strings.Cut(begun, "/")
	if len(args) == 1 && !strings.Contains(args[0], "/") {
		kind, named = args[0], true
	} else if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if !named {
		return kinds, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(command.Context(), completionTime)
	defer cancel()
	s, err := p.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	namespace, err := p.place(false)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	proposals := names(ctx, s, namespace, kind)
	if len(args) == 0 {
		for i, name := range proposals {
			proposals[i] = kind + "/" + name
		}
	}
	slices.Sort(proposals)
	return slices.Compact(proposals), cobra.ShellCompDirectiveNoFileComp
}

func (p *program) completeSources(command *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	return p.complete(command, args, begun, []string{"configmap/", "secret/"}, func(ctx context.Context, s *session, namespace, called string) (names []string) {
		target, err := sourceArg(called + "/any")
		if err != nil {
			return nil
		}
		for object, err := range s.reader.Metadata(ctx, target.Kind, namespace, cluster.Selector{}) {
			if err != nil {
				return names
			}
			if of, _, claimed := snapshot.Claimed(object); claimed {
				names = append(names, of)
			} else if versioned, _ := snapshot.Versioned(object); versioned {
				names = append(names, object.Name)
			}
		}
		return names
	})
}

func (p *program) completeWorkloads(command *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	var kinds []string
	for _, kind := range workload.Kinds {
		kinds = append(kinds, lower(kind)+"/")
	}
	return p.complete(command, args, begun, kinds, func(ctx context.Context, s *session, namespace, called string) (names []string) {
		kind, _, err := workloadArg(called + "/any")
		if err != nil {
			return nil
		}
		for element, err := range s.reader.Workloads(ctx, kind, namespace, cluster.Selector{Labels: wellknown.Enabled}) {
			if err != nil {
				return names
			}
			names = append(names, gjson.GetBytes(element, "metadata.name").Str)
		}
		return names
	})
}
