package plugin

import (
	"flag"
	"path/filepath"
	"testing"

	"github.com/configpin/configpin/test/lab/terminal"
)

var update = flag.Bool("update", false, "write what was said to testdata, and what is made from the commands")

// shop is where people work.
type shop struct{ *terminal.Terminal }

func open(t *testing.T) *shop {
	t.Helper()
	s := &shop{terminal.Open(t, "--sweep=1h")}
	s.runInPods(t)
	return s
}

func TestPlugin(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	s := open(t)
	t.Run("together", func(t *testing.T) {
		for name, play := range together {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s.play(t, name, play)
			})
		}
	})
	for _, scene := range alone {
		t.Run(scene.name, func(t *testing.T) { s.play(t, scene.name, scene.play) })
	}
}

func (s *shop) play(t *testing.T, name string, play func(*shell)) {
	t.Helper()
	sh := s.begin(t)
	play(sh)
	if sh.said.Len() == 0 {
		return
	}
	sh.compare(filepath.Join("testdata", name+".txt"))
}
