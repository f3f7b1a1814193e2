package cli

import (
	"context"
	"slices"
	"time"
)

// quiet is for how long nothing must have changed before a watch looks again: a rollout
// is dozens of changes. A watch that finds no quiet looks after patience all the same.
const (
	quiet    = 200 * time.Millisecond
	patience = 2 * time.Second
)

// watch prints an answer, and then, as long as somebody watches, the rows that are new or
// other than before.
func (s *session) watch(ctx context.Context, out output, namespace string, show func() (answer, error)) error {
	if out.format != formatTable && out.format != formatWide {
		return s.watchWhole(ctx, out, namespace, show)
	}
	var printed [][]string
	changed := s.reader.Changes(ctx, namespace)
	for {
		a, err := show()
		if err != nil {
			return err
		}
		all := a.table.rows
		a.after = nil
		a.table.rows = slices.DeleteFunc(slices.Clone(all), func(row []string) bool {
			return slices.ContainsFunc(printed, func(before []string) bool { return slices.Equal(row, before) })
		})
		if err := out.print(s.Out, a); err != nil {
			return err
		}
		printed, out.noHeaders = all, out.noHeaders || len(all) > 0
		if !settle(ctx, changed) {
			return nil
		}
	}
}

// watchWhole prints the whole answer again whenever it may be another one.
func (s *session) watchWhole(ctx context.Context, out output, namespace string, show func() (answer, error)) error {
	changed := s.reader.Changes(ctx, namespace)
	for {
		a, err := show()
		if err != nil {
			return err
		}
		if err := out.print(s.Out, a); err != nil {
			return err
		}
		if !settle(ctx, changed) {
			return nil
		}
	}
}

// settle waits until something changed, and then for quiet. It returns false when nobody
// watches any more.
func settle(ctx context.Context, changed <-chan struct{}) bool {
	select {
	case <-ctx.Done():
		return false
	case <-changed:
	}
	enough := time.After(patience)
	for {
		select {
		case <-ctx.Done():
			return false
		case <-changed:
		case <-enough:
			return true
		case <-time.After(quiet):
			return true
		}
	}
}
