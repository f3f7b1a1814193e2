// Generate writes what is made from the kubectl plugin: the reference of its commands, and
// the picture of a session.
//
// It is a command of its own because `make generate` needs one; both are made by
// test/plugin, whose tests compare them with the files.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/configpin/configpin/test/plugin"
	"github.com/configpin/configpin/test/tools"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	root, err := tools.Checkout()
	if err != nil {
		return err
	}
	transcript, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(plugin.PictureSource)))
	if err != nil {
		return err
	}
	for file, text := range map[string]string{
		plugin.ReferenceFile: plugin.Reference(),
		plugin.PictureFile:   plugin.Picture(string(transcript)),
	} {
		if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(file)), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
