// Package plugin types `kubectl configpin …` into a shell on a real control plane, as
// people do, and compares all that comes back with transcripts in testdata. `go test
// ./test/plugin -update` writes these anew; a review reads how they differ. It also makes
// the reference of the commands, from the commands.
//
// It is separate from internal/inspect, whose tests are about what is said of which
// values: here it is about what is printed, by whose rights, and what becomes of the
// cluster.
package plugin

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/configpin/configpin/internal/cli"
)

// ReferenceFile is where the reference is, from the root of the checkout.
const ReferenceFile = "docs/kubectl-configpin.md"

// Reference is the reference of the plugin's commands, in Markdown.
func Reference() string {
	streams, _, _, _ := genericiooptions.NewTestIOStreams()
	root := cli.Command(streams, "development")
	root.PersistentFlags().Lookup("cache-dir").DefValue = "$HOME/.kube/cache" // as everybody has one of their own
	var text strings.Builder
	fmt.Fprintf(&text, "# kubectl configpin\n\n<!-- Made by `make generate`: change internal/cli instead. -->\n\n")
	text.WriteString(reflowed(root.Long) + "\n\n")
	text.WriteString("[plugin.md](plugin.md) tells how to get it, and what it is for.\n\n")
	text.WriteString("| command | in one line |\n| --- | --- |\n")
	commands := commandsOf(root)
	for _, c := range commands {
		fmt.Fprintf(&text, "| [`%s`](#%s) | %s |\n", c.Name(), strings.ReplaceAll(c.CommandPath(), " ", "-"), c.Short)
	}
	for _, c := range commands {
		describe(&text, c)
	}
	text.WriteString("\n## Flags of all commands\n\n")
	flags(&text, root.PersistentFlags().FlagUsagesWrapped(width))
	return text.String()
}

// width is that of the lines of flags.
const width = 116

func commandsOf(root *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" && c.Name() != "completion" {
			all = append(all, c)
		}
	}
	return all
}

func describe(text *strings.Builder, c *cobra.Command) {
	fmt.Fprintf(text, "\n## kubectl configpin %s\n\n", c.Name())
	text.WriteString(reflowed(c.Long) + "\n\n```\n" + c.UseLine() + "\n```\n")
	if c.Example != "" {
		fmt.Fprintf(text, "\n<!-- not run: these are what --help shows -->\n```sh\n%s\n```\n", unindented(c.Example))
	}
	if usages := c.LocalNonPersistentFlags().FlagUsagesWrapped(width); usages != "" {
		text.WriteString("\n")
		flags(text, usages)
	}
}

func flags(text *strings.Builder, usages string) {
	fmt.Fprintf(text, "```\n%s```\n", usages)
}

func unindented(text string) string {
	return strings.ReplaceAll(strings.TrimPrefix(text, "  "), "\n  ", "\n")
}

// reflowed is text in which what is indented is a block of its own, as in a terminal.
func reflowed(text string) string {
	var lines []string
	inside := false
	for line := range strings.SplitSeq(text, "\n") {
		indented := strings.HasPrefix(line, "  ")
		if indented != inside && (indented || line == "") {
			lines = append(lines, "```")
			inside = indented
		}
		lines = append(lines, line)
	}
	if inside {
		lines = append(lines, "```")
	}
	return strings.Join(lines, "\n")
}
