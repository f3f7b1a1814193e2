package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// sourceNames are what people call the kinds of sources.
var sourceNames = map[wellknown.Kind][]string{
	wellknown.ConfigMap: {"configmap", "configmaps", "cm"},
	wellknown.Secret:    {"secret", "secrets"},
}

// shortNames are the short ones of the kinds of workloads
// (k8s.io/kubernetes/pkg/registry, ShortNames of each storage).
var shortNames = map[string]string{
	"Deployment": "deploy", "StatefulSet": "sts", "DaemonSet": "ds", "CronJob": "cj", "Job": "",
}

// one joins "kind name" to "kind/name", as kubectl takes either.
func one(args []string) []string {
	if joined := strings.Join(args, "/"); len(args) == 2 && strings.Count(joined, "/") == 1 {
		return []string{joined}
	}
	return args
}

// sourceArg reads an argument that names a source.
func sourceArg(text string) (refs.Target, error) {
	called, name, slash := strings.Cut(text, "/")
	if slash && name != "" {
		for kind, names := range sourceNames {
			if slices.Contains(names, strings.ToLower(called)) {
				if !snapshot.Nameable(name) {
					return refs.Target{}, fmt.Errorf("%q is no name that a %s can have", name, kind.KubernetesKind())
				}
				return refs.Target{Kind: kind, Name: name}, nil
			}
		}
	}
	return refs.Target{}, fmt.Errorf("%q is not a ConfigMap or a Secret: name one, as in configmap/app", text)
}

// workloadArg reads an argument that names a workload.
func workloadArg(text string) (*workload.Kind, string, error) {
	called, name, slash := strings.Cut(text, "/")
	called, group, _ := strings.Cut(strings.ToLower(called), ".")
	for _, kind := range workload.Kinds {
		names := []string{strings.ToLower(kind.Kind), kind.Resource, shortNames[kind.Kind]}
		if !slash || name == "" || called == "" || !slices.Contains(names, called) || group != "" && group != kind.Group {
			continue
		}
		if !snapshot.Nameable(name) {
			return nil, "", fmt.Errorf("%q is no name that a %s can have", name, kind.Kind)
		}
		return kind, name, nil
	}
	return nil, "", fmt.Errorf("%q is not a workload that configpin serves: name a Deployment, StatefulSet, DaemonSet, CronJob or Job, as in deployment/web", text)
}

// noArgs has a command take none.
func noArgs(command *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("kubectl configpin %s takes flags only, and not %s", command.Name(), strings.Join(args, " "))
	}
	return nil
}

// oneSourceArg has a command take one source.
func oneSourceArg(command *cobra.Command, args []string) error {
	if len(one(args)) != 1 {
		return fmt.Errorf("name one ConfigMap or Secret, as in kubectl configpin %s configmap/app", command.Name())
	}
	_, err := sourceArg(one(args)[0])
	return err
}

// oneWorkloadArg has a command take one workload.
func oneWorkloadArg(command *cobra.Command, args []string) error {
	if len(one(args)) != 1 {
		return fmt.Errorf("name one workload, as in kubectl configpin %s deployment/web", command.Name())
	}
	return workloadsArg(command, args)
}

// oneRollingArg has a command take one workload whose template can change.
func oneRollingArg(command *cobra.Command, args []string) error {
	if err := oneWorkloadArg(command, args); err != nil {
		return err
	}
	kind, name, err := workloadArg(one(args)[0])
	if err == nil && kind.Frozen {
		err = fmt.Errorf("the template of %s/%s can't change: create another one", lower(kind), name)
	}
	return err
}

// workloadsArg has a command take any number of workloads.
func workloadsArg(_ *cobra.Command, args []string) error {
	_, err := workloadArgs("", one(args))
	return err
}

// revisionFlag checks what a flag says of a revision, of which live may be one.
func revisionFlag(flag, value string, live bool) error {
	number, err := strconv.Atoi(value)
	switch {
	case live && value == revisionLive:
		return nil
	case err == nil && number > 0, err != nil && value != revisionLive && snapshot.Nameable(value):
		return nil
	case live:
		return fmt.Errorf("--%s is %q, not a number from 1 up, the name of a snapshot, or %q", flag, value, revisionLive)
	default:
		return fmt.Errorf("--%s is %q, not a number from 1 up, or the name of a snapshot", flag, value)
	}
}

// oneSource reads what oneSourceArg let pass, in the namespace of the flags.
func (p *program) oneSource(args []string) (cluster.Key, error) {
	target, err := sourceArg(one(args)[0])
	if err != nil {
		return cluster.Key{}, err
	}
	namespace, err := p.place(false)
	return cluster.Key{Namespace: namespace, Target: target}, err
}

// oneWorkload reads what oneWorkloadArg let pass, in the namespace of the flags.
func (p *program) oneWorkload(args []string) (cluster.Workload, error) {
	namespace, err := p.place(false)
	if err != nil {
		return cluster.Workload{}, err
	}
	named, err := workloadArgs(namespace, one(args))
	if err != nil {
		return cluster.Workload{}, err
	}
	return named[0], nil
}

func workloadArgs(namespace string, args []string) ([]cluster.Workload, error) {
	var named []cluster.Workload
	for _, arg := range args {
		kind, name, err := workloadArg(arg)
		if err != nil {
			return nil, err
		}
		named = append(named, cluster.Workload{Kind: kind, Namespace: namespace, Name: name})
	}
	return named, nil
}
