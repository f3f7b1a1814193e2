package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/configpin/configpin/test/lab/tools"
)

// stagesName is the file in the tools folder with kwok's stages.
const stagesName = "kwok.yaml"

// stageFolders are the folders of kwok's module whose stages we play: nodes turn Ready and stay so, Pods turn Ready at
// once (those of Jobs succeed), and vanish at once when deleted.
var stageFolders = []string{"node/fast", "node/heartbeat", "pod/fast"}

// kwokOptions raises how many Pods kwok moves at the same time; its default of 4 would be what a test measures.
const kwokOptions = `apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokConfiguration
options:
  podPlayStageParallelism: 32
  nodePlayStageParallelism: 8
`

// makeStages puts the stages of kwok's own release into one file. Without stages kwok refuses to start.
func makeStages(ctx context.Context, sources tools.Sources) ([]byte, error) {
	module, err := sources(ctx, "kwok", kwokModule)
	if err != nil {
		return nil, err
	}
	config, err := joinStages(filepath.Join(module, "kustomize", "stage"))
	if err != nil {
		return nil, fmt.Errorf("reading kwok's stages: %w", err)
	}
	return config, nil
}

func joinStages(dir string) ([]byte, error) {
	config := bytes.NewBufferString(kwokOptions)
	for _, folder := range stageFolders {
		files, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(folder), "*.yaml"))
		if err != nil {
			return nil, err
		}
		stages := 0
		for _, file := range files {
			if filepath.Base(file) == "kustomization.yaml" {
				continue
			}
			stage, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(config, "---\n%s\n", bytes.TrimSpace(stage))
			stages++
		}
		if stages == 0 {
			return nil, fmt.Errorf("no stage in %s", filepath.Join(dir, folder))
		}
	}
	return config.Bytes(), nil
}
