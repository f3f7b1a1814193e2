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

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

//go:embed base/*.yaml
var base embed.FS

// Objects returns what is installed, in an order in which it can be applied:
// namespaces first.
func Objects() ([]*unstructured.Unstructured, error) {
	var namespaces, rest []*unstructured.Unstructured
	err := fs.WalkDir(base, "base", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "kustomization.yaml" {
			return err
		}
		objects, err := read(path)
		for _, object := range objects {
			if object.GetKind() == "Namespace" {
				namespaces = append(namespaces, object)
			} else {
				rest = append(rest, object)
			}
		}
		return err
	})
	return append(namespaces, rest...), err
}

func read(path string) ([]*unstructured.Unstructured, error) {
	text, err := base.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	objects, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
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
		objects = append(objects, object)
	}
}
