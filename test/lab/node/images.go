package node

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/configpin/configpin/test/lab/tools"
)

// Registry comes before the names of images. No kubelet can pull from it, so that a missing image is noticed.
const Registry = "localhost"

// Tag is that of all images. A kubelet doesn't pull what has one, unless it's called latest.
const Tag = "checkout"

// pausePackage is the program that keeps the namespaces of a Pod open.
const pausePackage = "./test/lab/node/pause"

// ReaderPackage is a program that says which config it reads.
const ReaderPackage = "./test/lab/node/reader"

// Images are archives that a node imports.
type Images struct{ Archives []string }

// Reference is what Pods name the image of a program by.
func Reference(program string) string {
	return fmt.Sprintf("%s/configpin/%s:%s", Registry, program, Tag)
}

// Pause is the image that a node itself needs.
func (Images) Pause() string { return Reference(filepath.Base(pausePackage)) }

// BuildImages builds images of configpin's programs, of the reader and of what a node needs, into a folder. It has to be
// called outside of the namespaces: a first build downloads modules.
func BuildImages(ctx context.Context, into string, progress io.Writer) error {
	root, err := tools.Checkout()
	if err != nil {
		return err
	}
	fmt.Fprintln(progress, "building images")
	build := exec.CommandContext(ctx, "go", "run", "-C", filepath.Join(root, "release", "images"), ".",
		"-into", into, "-version", Tag, "-platforms", "linux/"+runtime.GOARCH,
		"./cmd/webhook", "./cmd/versioner", ReaderPackage, pausePackage)
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building images: %w\n%s", err, out)
	}
	return nil
}

// OpenImages finds what BuildImages wrote.
func OpenImages(dir string) (Images, error) {
	archives, err := filepath.Glob(filepath.Join(dir, "*.tar"))
	if err != nil {
		return Images{}, fmt.Errorf("listing images: %w", err)
	}
	if len(archives) == 0 {
		return Images{}, fmt.Errorf("listing images: %s has none", dir)
	}
	return Images{Archives: archives}, nil
}
