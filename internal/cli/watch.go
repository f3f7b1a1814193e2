package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// quiet is for how long nothing must have changed before a watch looks again: a rollout
// is dozens of changes. A watch that finds no quiet looks after patience all the same.
const (
	quiet    = 200 * time.Millisecond
	patience = 2 * time.Second
)

// breath is how much longer a watch waits than it looks, so that it is no burden.
const breath = 4

// watch prints an answer, and then, as long as somebody watches, the rows that are new or
// other than before; or, in other formats than a table, all of it. It looks again when
// something has changed.
func (s *session) watch(ctx context.Context, out output, changed <-chan struct{}, show func() (answer, error)) error {
	before := answer{}
	failing := false
	for {
		began := time.Now()
		now, err := show()
		switch {
		case ctx.Err() != nil: // somebody has seen enough
			return nil //nolint:nilerr // and that is what the error is about
		case err != nil && (before.report == nil || !passes(err)):
			return err
		case err != nil:
			if !failing {
				fmt.Fprintln(s.ErrOut, "note:", clean(fmt.Sprintf("%v: trying again", err)))
			}
			failing = true
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(patience):
				continue
			}
		}
		if news := now.since(before, out); news != nil {
			if out.format == formatYAML && before.report != nil {
				fmt.Fprintln(s.Out, "---")
			}
			if err := out.print(s.Out, *news); err != nil {
				return err
			}
			out.noHeaders = out.noHeaders || len(news.table.rows) > 0
		}
		before, failing = now, false
		if !settle(ctx, changed, time.Since(began)) {
			return nil
		}
	}
}

// passes says whether an error may be over some time: unless the API server says that it is
// about what somebody asked for.
func passes(err error) bool {
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) {
		return true // it was not reached, or an answer was cut off
	}
	code := status.Status().Code
	return code < http.StatusBadRequest || code >= http.StatusInternalServerError || code == http.StatusTooManyRequests || code == http.StatusGone
}

// changes says when to look again.
func (s *session) changes(ctx context.Context, namespace string, others []schema.GroupVersionResource) <-chan struct{} {
	return s.reader.Changes(ctx, namespace, others, func(kind schema.GroupVersionResource, err error) {
		s.note("what changes of %s is seen late, because it can't be watched (%v)", kind.GroupResource(), cause(err))
	})
}

// since is what an answer has that another one hadn't, or nil.
func (a answer) since(before answer, out output) *answer {
	if out.format != formatTable && out.format != formatWide {
		if reflect.DeepEqual(a.report, before.report) {
			return nil
		}
		return &a
	}
	printed := map[string]bool{}
	for _, row := range before.table.rows {
		printed[before.table.steady(row)] = true
	}
	a.after = nil
	a.table.rows = slices.DeleteFunc(slices.Clone(a.table.rows), func(row []string) bool { return printed[a.table.steady(row)] })
	return &a
}

// steady is a row without what changes by itself.
func (t table) steady(row []string) string {
	var cells []string
	for i, cell := range row {
		if !t.columns[i].moves {
			cells = append(cells, cell)
		}
	}
	return strings.Join(cells, "\x00")
}

// settle waits until something changed, and then for quiet, or for breath times as long as
// looking takes. It returns false when nobody watches any more.
func settle(ctx context.Context, changed <-chan struct{}, took time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-changed:
	}
	enough := time.After(max(patience, breath*took))
	for {
		select {
		case <-ctx.Done():
			return false
		case <-changed:
		case <-enough:
			return true
		case <-time.After(max(quiet, breath*took)):
			return true
		}
	}
}
