// Package kustomize builds folders of manifests as people do, with kubectl, and makes
// what comes of it comparable with objects from elsewhere.
//
// It is shared by test/docs, which compares folders that documents apply with what
// tests install, and test/chart, which compares them with what helm installs.
package kustomize

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/configpin/configpin/manifests"
)

// Build returns the objects of a folder of dir.
func Build(ctx context.Context, kubectl, dir, folder string) ([]*unstructured.Unstructured, error) {
	command := exec.CommandContext(ctx, kubectl, "kustomize", folder)
	command.Dir = dir
	text, err := command.Output()
	if exit, failed := errors.AsType[*exec.ExitError](err); failed {
		return nil, fmt.Errorf("building %s: %w\n%s", folder, err, exit.Stderr)
	}
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", folder, err)
	}
	return manifests.Parse(text)
}

// ByName returns what objects say, by kind, namespace and name, but for spaces: kustomize
// adds empty lines to expressions of several lines, which mean nothing there.
func ByName(objects []*unstructured.Unstructured) map[string]map[string]any {
	found := map[string]map[string]any{}
	for _, o := range objects {
		found[strings.Join([]string{o.GetKind(), o.GetNamespace(), o.GetName()}, " ")] = spaced(o.Object).(map[string]any)
	}
	return found
}

// spaced is a value whose texts have single spaces.
func spaced(value any) any {
	switch value := value.(type) {
	case string:
		return strings.Join(strings.Fields(value), " ")
	case []any:
		all := make([]any, len(value))
		for i := range value {
			all[i] = spaced(value[i])
		}
		return all
	case map[string]any:
		all := make(map[string]any, len(value))
		for key := range value {
			all[key] = spaced(value[key])
		}
		return all
	default:
		return value
	}
}
