// Package manifests holds what is installed on a cluster, as objects, for
// programs that install it there.
package manifests

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

//go:embed core components namespace namespace-secrets
var files embed.FS

// base is what base/kustomization.yaml puts together.
var base = []string{"core", "components/cert-manager", "components/network-policy", "components/policies"}

// Component is something that not everybody installs: a folder of manifests.
type Component string

// The components that consist of objects alone.
const (
	Secrets   Component = "components/secrets"    // rights on Secrets, in all namespaces
	DigestKey Component = "components/digest-key" // rights on the key of their digests
)

// Objects returns what is installed, with some components, in an order in which it
// can be applied: namespaces first.
func Objects(components ...Component) ([]*unstructured.Unstructured, error) {
	folders := slices.Clone(base)
	for _, c := range components {
		folders = append(folders, string(c))
	}
	var namespaces, rest []*unstructured.Unstructured
	for _, folder := range folders {
		objects, err := in(folder)
		if err != nil {
			return nil, err
		}
		for _, object := range objects {
			if object.GetKind() == "Namespace" {
				namespaces = append(namespaces, object)
			} else {
				rest = append(rest, object)
			}
		}
	}
	return append(namespaces, rest...), nil
}

// Namespaced returns what is installed for programs that serve some namespaces
// alone, and of those the Secrets of some: no ClusterRoles, and Roles in each.
func Namespaced(namespaces, secrets []string) ([]*unstructured.Unstructured, error) {
	var components []Component
	if len(secrets) > 0 {
		components = append(components, DigestKey)
	}
	all, err := Objects(components...)
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	for _, object := range all {
		if kind := object.GetKind(); kind != "ClusterRole" && kind != "ClusterRoleBinding" {
			objects = append(objects, object)
		}
	}
	for folder, in := range map[string][]string{"namespace": namespaces, "namespace-secrets": secrets} {
		for _, namespace := range in {
			roles, err := rolesIn(folder, namespace)
			if err != nil {
				return nil, err
			}
			objects = append(objects, roles...)
		}
	}
	return objects, nil
}

func rolesIn(folder, namespace string) ([]*unstructured.Unstructured, error) {
	roles, err := in(folder)
	for _, role := range roles {
		role.SetNamespace(namespace)
	}
	return roles, err
}

// in returns the objects of a folder's files.
func in(folder string) ([]*unstructured.Unstructured, error) {
	entries, err := files.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", folder, err)
	}
	var all []*unstructured.Unstructured
	for _, entry := range entries {
		if entry.IsDir() || entry.Name() == "kustomization.yaml" {
			continue
		}
		objects, err := read(path.Join(folder, entry.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, objects...)
	}
	return all, nil
}

func read(file string) ([]*unstructured.Unstructured, error) {
	text, err := fs.ReadFile(files, file)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	objects, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return objects, nil
}

// Parse returns the objects of YAML documents.
func Parse(text []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		if len(object.Object) > 0 { // nothing is between two separators
			objects = append(objects, object)
		}
	}
}
