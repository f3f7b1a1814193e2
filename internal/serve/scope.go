package serve

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Scope is where a program serves, as its flags say. A list of namespaces that is
// just NamespaceAll stands for all of them.
type Scope struct {
	Namespaces []string // ConfigMaps and workloads
	Secrets    []string // Secrets; empty for nowhere
}

// scopeFlags are the flags that say so.
type scopeFlags struct {
	namespaces, secretsNamespaces []string
	secrets                       bool
	keyNamespace                  string
}

func (s *scopeFlags) add(f *Flags) {
	// [No ClusterRole](#in-some-namespaces-alone) is needed then.
	f.Func("namespaces", "the only `namespaces` to serve, separated by commas (default: all)", listOf(&s.namespaces, namespace))
	// See [secrets.md](secrets.md).
	f.BoolVar(&s.secrets, "secrets", false, "serve Secrets too, in all namespaces that are served")
	f.Func("secrets-namespaces", "serve Secrets too, in these `namespaces` alone, separated by commas", listOf(&s.secretsNamespaces, namespace))
	// In any but `configpin-system`, [a policy](policies.md#another-namespace) keeps the versioner from making it.
	f.StringVar(&s.keyNamespace, "digest-key-namespace", "", "`namespace` of the Secret configpin-digest-key, with the key of Secrets' digests, where Secrets are served (default: the Pod's own)")
}

// listOf adds to a list what is separated by commas, and is valid.
func listOf(list *[]string, valid func(string) error) func(string) error {
	return func(value string) error {
		for element := range strings.SplitSeq(value, ",") {
			if err := valid(element); err != nil {
				return err
			}
			*list = append(*list, element)
		}
		return nil
	}
}

func namespace(name string) error {
	if len(validation.IsDNS1123Label(name)) > 0 {
		return fmt.Errorf("%q is no name of a namespace", name)
	}
	return nil
}

func hashAnnotation(key string) error {
	begin, all := strings.CutSuffix(key, "*")
	if all && begin != "" {
		begin += "x" // it is a key if what it begins is one
	}
	if len(validation.IsQualifiedName(begin)) > 0 {
		return fmt.Errorf("%q is no key of an annotation, nor what some begin with and a *", key)
	}
	return nil
}

// Scope returns where to serve.
func (f *Flags) Scope() (Scope, error) {
	s := Scope{Namespaces: []string{metav1.NamespaceAll}}
	if len(f.scope.namespaces) > 0 {
		s.Namespaces = sorted(f.scope.namespaces)
	}
	switch {
	case f.scope.secrets && len(f.scope.secretsNamespaces) > 0:
		return s, f.Wrong("--secrets is for all namespaces, and --secrets-namespaces for some: give one of them")
	case f.scope.secrets:
		s.Secrets = s.Namespaces
	default:
		s.Secrets = sorted(f.scope.secretsNamespaces)
	}
	for _, namespace := range s.Secrets {
		if len(f.scope.namespaces) > 0 && !slices.Contains(s.Namespaces, namespace) {
			return s, f.Wrong("--secrets-namespaces has %s, which is not among --namespaces", namespace)
		}
	}
	return s, nil
}

func sorted(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }

// ownNamespace is where a Pod finds the name of its namespace
// (k8s.io/client-go/tools/clientcmd/client_config.go, inClusterClientConfig).
const ownNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// DigestKeyNamespace returns the namespace of the key of Secrets' digests.
func (f *Flags) DigestKeyNamespace() (string, error) {
	if f.scope.keyNamespace != "" {
		return f.scope.keyNamespace, nil
	}
	text, err := os.ReadFile(ownNamespace)
	if errors.Is(err, os.ErrNotExist) {
		return "", f.Wrong("this is no Pod: say with --digest-key-namespace where the key of Secrets' digests is")
	}
	if err != nil {
		return "", fmt.Errorf("finding the key of Secrets' digests: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
