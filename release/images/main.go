// Command images builds images of programs, by default of both that configpin is: OCI
// archives with an image for each platform, and what is in each as SPDX. It needs no
// Docker and no registry, and builds the same bytes again from the same checkout.
//
// It is a module of its own because ko, which does the work, requires far more than
// configpin does.
package main

import (
	"archive/tar"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/ko/pkg/build"
)

const (
	module   = "github.com/configpin/configpin"
	platform = "linux/amd64,linux/arm64"

	// nowhere comes before the names in archives: they are the same wherever they are
	// pushed to, and no node can pull them from there.
	nowhere = "localhost"

	// user is nobody's number on any distribution: the images have no /etc/passwd, and
	// Kubernetes can tell that a number isn't root's.
	user = "65532:65532"
)

// packages are built where no others are named.
var packages = []string{"./cmd/webhook", "./cmd/versioner"}

const usage = `Builds OCI images of configpin's programs, without Docker and without a registry.

Usage:
  go run . [flags] [PACKAGE...]        in release/images; or: make images

Packages are folders of the checkout, by default ./cmd/webhook and ./cmd/versioner. An image has the name of its folder.

Examples:
  go run . -version 0.1.0 -into ../../bin/images
  go run . -platforms linux/arm64 ./cmd/webhook
  go run . -version 0.1.0 -push registry.example.com/team
  ctr --namespace k8s.io images import ../../bin/images/webhook.tar

SOURCE_DATE_EPOCH is the time that images say they were made at, in seconds (default: 0).

Flags:
`

// options are what is built.
type options struct {
	checkout, into, version, push, platforms string
	packages                                 []string
}

func main() {
	log.SetOutput(io.Discard) // of ko: what it does is a detail
	var o options
	flag.StringVar(&o.checkout, "checkout", filepath.Join("..", ".."), "`folder` of configpin's module")
	flag.StringVar(&o.into, "into", filepath.Join("..", "..", "bin", "images"), "`folder` to write to")
	flag.StringVar(&o.version, "version", "unreleased", "the `version` that programs say, and tag of the images")
	flag.StringVar(&o.platforms, "platforms", platform, "`platforms`, separated by commas")
	flag.StringVar(&o.push, "push", "", "a `registry` to write the images to as well, as whom docker login or crane auth login made you")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	o.packages = packages
	if flag.NArg() > 0 {
		o.packages = flag.Args()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

func run(ctx context.Context, o options, out io.Writer) error {
	made, err := created()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.into, 0o755); err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "IMAGE\tPLATFORM\tCOMPRESSED\tDIGEST")
	var digests strings.Builder
	for _, folder := range o.packages {
		program := path.Base(folder)
		fmt.Fprintf(out, "building the image of the %s for %s\n", program, o.platforms)
		index, err := o.build(ctx, folder, made)
		if err != nil {
			return fmt.Errorf("building the image of the %s: %w", program, err)
		}
		reference := fmt.Sprintf("%s/configpin/%s:%s", nowhere, program, o.version)
		if err := archive(index, reference, filepath.Join(o.into, program+".tar"), made); err != nil {
			return fmt.Errorf("writing the image of the %s: %w", program, err)
		}
		if err := describe(table, reference, index); err != nil {
			return fmt.Errorf("reading the image of the %s: %w", program, err)
		}
		if o.push != "" {
			if err := push(ctx, index, fmt.Sprintf("%s/configpin/%s:%s", o.push, program, o.version)); err != nil {
				return fmt.Errorf("pushing the image of the %s: %w", program, err)
			}
		}
		digest, err := index.Digest()
		if err != nil {
			return err
		}
		fmt.Fprintf(&digests, "%s  %s\n", digest, program)
	}
	if err := os.WriteFile(filepath.Join(o.into, "digests.txt"), []byte(digests.String()), 0o644); err != nil {
		return err
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "in %s, each beside its SBOM\n", o.into)
	return err
}

// created is the time that everything is said to be made at.
func created() (time.Time, error) {
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading SOURCE_DATE_EPOCH: %q is no number of seconds", epoch)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// build makes the image of the program in a folder.
func (o options) build(ctx context.Context, folder string, made time.Time) (v1.ImageIndex, error) {
	platforms := strings.Split(o.platforms, ",")
	base, err := nothing(platforms)
	if err != nil {
		return nil, err
	}
	opener, err := build.NewGo(ctx, o.checkout,
		build.WithBaseImages(func(context.Context, string) (name.Reference, build.Result, error) {
			reference, err := name.ParseReference("nothing")
			return reference, base, err
		}),
		build.WithPlatforms(platforms...),
		build.WithJobs(1),
		build.WithCreationTime(v1.Time{Time: made}),
		build.WithUser(user),
		build.WithTrimpath(true),
		build.WithDefaultEnv([]string{"CGO_ENABLED=0", "GOWORK=off", "GOFLAGS="}),
		build.WithDefaultFlags([]string{"-buildvcs=false", "-mod=readonly"}),
		build.WithDefaultLdflags([]string{"-s", "-w", "-X " + module + "/internal/serve.Version=" + o.version}),
		build.WithLabel("org.opencontainers.image.title", "configpin-"+path.Base(folder)),
		build.WithLabel("org.opencontainers.image.version", o.version),
		build.WithLabel("org.opencontainers.image.source", "https://"+module),
		build.WithLabel("org.opencontainers.image.licenses", "Apache-2.0"),
		build.WithSPDX(o.version),
		build.WithSBOMDir(o.into),
	)
	if err != nil {
		return nil, err
	}
	result, err := opener.Build(ctx, path.Join(module, folder))
	if err != nil {
		return nil, err
	}
	return asIndex(result)
}

// asIndex makes an image for a single platform look like one for several.
func asIndex(result build.Result) (v1.ImageIndex, error) {
	switch result := result.(type) {
	case v1.ImageIndex:
		return result, nil
	case v1.Image:
		config, err := result.ConfigFile()
		if err != nil {
			return nil, err
		}
		return mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{
			Add:        result,
			Descriptor: v1.Descriptor{Platform: config.Platform(), MediaType: types.OCIManifestSchema1},
		}), nil
	default:
		return nil, fmt.Errorf("a build made a %T, which is no image", result)
	}
}

// nothing is the image that programs are put on: an empty one for each platform. They
// are static, trust the authority that Kubernetes mounts, and need no file.
func nothing(platforms []string) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, each := range platforms {
		p, err := v1.ParsePlatform(each)
		if err != nil {
			return nil, err
		}
		image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: p.OS, Architecture: p.Architecture, RootFS: v1.RootFS{Type: "layers"}})
		if err != nil {
			return nil, err
		}
		image = mutate.ConfigMediaType(mutate.MediaType(image, types.OCIManifestSchema1), types.OCIConfigJSON)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: p, MediaType: types.OCIManifestSchema1},
		})
	}
	return index, nil
}

// archive writes an image as one file, which says what the image is called.
func archive(index v1.ImageIndex, reference, file string, made time.Time) error {
	folder, err := os.MkdirTemp("", "configpin-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	written, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	tag := reference[strings.LastIndex(reference, ":")+1:]
	err = written.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          reference, // ctr reads this one
		"org.opencontainers.image.ref.name": tag,
	}))
	if err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := pack(folder, out, made); err != nil {
		return errors.Join(err, out.Close())
	}
	return out.Close()
}

// push writes an image to its registry.
func push(ctx context.Context, index v1.ImageIndex, reference string) error {
	tag, err := name.NewTag(reference)
	if err != nil {
		return err
	}
	return remote.WriteIndex(tag, index, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
}

// pack writes a folder as a tar, in the order of names, so that it's the same each time.
func pack(folder string, out io.Writer, made time.Time) error {
	w := tar.NewWriter(out)
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		header := &tar.Header{Name: filepath.ToSlash(inside), Mode: 0o644, Size: int64(len(content)), ModTime: made}
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	})
	return errors.Join(err, w.Close())
}

// describe adds the images of an index to a table.
func describe(table io.Writer, reference string, index v1.ImageIndex) error {
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	for _, each := range manifest.Manifests {
		image, err := index.Image(each.Digest)
		if err != nil {
			return err
		}
		size, err := pulled(image)
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%s\t%s\t%.1f MB\t%s\n", reference, each.Platform, float64(size)/1e6, each.Digest)
	}
	return nil
}

// pulled is how many bytes a node pulls of an image.
func pulled(image v1.Image) (int64, error) {
	layers, err := image.Layers()
	if err != nil {
		return 0, err
	}
	var size int64
	for _, l := range layers {
		n, err := l.Size()
		if err != nil {
			return 0, err
		}
		size += n
	}
	return size, nil
}
