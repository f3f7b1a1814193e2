package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// How much a list is read at a time. A Pod has some 10 KB, so that a page of them
// has some MB; and 10,000 workloads with their copies are some hundred pages.
const (
	wholePage    = 250
	metadataPage = 500
)

// What lists consist of.
const (
	whole        = "application/json"
	metadataOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
)

// pageTime is how long a page may take. The API server gives no request longer
// (k8s.io/apiserver/pkg/server/config.go, RequestTimeout).
const pageTime = time.Minute

// Selector says which objects are wanted, as kubectl's flags of these names do. The zero
// Selector wants all.
type Selector struct{ Labels, Fields string }

// List is a list of all objects of a kind, in one namespace or in all of them. E is
// what is kept of each. One of Whole and Metadata makes that of an object, or says that
// nothing is.
type List[E any] struct {
	API       rest.Interface
	Kind      schema.GroupVersionResource
	Namespace string
	Selector  Selector
	Ahead     bool // read a page while somebody works with the one before it

	// Whole has objects listed as they are. It must not hold on to the JSON.
	Whole func(element []byte) (e E, kept bool, err error)

	// Metadata has nothing but their metadata listed, without who manages which field.
	Metadata func(*metav1.ObjectMeta) (e E, kept bool)
}

// All reads the list page by page, as it is asked for more, in the order of
// namespaces. What is there all the time comes once. It says with an error when it
// doesn't know of all: then nobody may conclude that something isn't there.
func (l List[E]) All(ctx context.Context) iter.Seq2[E, error] {
	pages := l.pages
	if l.Ahead {
		pages = func(ctx context.Context) iter.Seq2[page[E], error] { return ahead(ctx, l.pages) }
	}
	return func(yield func(E, error) bool) {
		for page, err := range pages(ctx) {
			if err != nil {
				yield(*new(E), fmt.Errorf("listing %s: %w", l.Kind.GroupResource(), err))
				return
			}
			for _, e := range page.elements {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// Count estimates how many objects there are, of which it asks for one.
func (l List[E]) Count(ctx context.Context) (int, error) {
	first, err := l.page(ctx, "", 1)
	if err != nil {
		return 0, fmt.Errorf("counting %s: %w", l.Kind.GroupResource(), err)
	}
	return first.size + first.remaining, nil
}

func (l List[E]) pages(ctx context.Context) iter.Seq2[page[E], error] {
	limit := wholePage
	if l.Metadata != nil {
		limit = metadataPage
	}
	return paged(func(following string) (page[E], string, error) {
		page, err := l.page(ctx, following, limit)
		return page, page.following, err
	})
}

// paged reads page by page, as it is asked for more. read is told where a page begins,
// and says where the next one does.
func paged[P any](read func(following string) (page P, next string, err error)) iter.Seq2[P, error] {
	return func(yield func(P, error) bool) {
		for at := (place{}); ; {
			page, next, err := read(at.following)
			if at.outlives(err) {
				continue
			}
			if !yield(page, err) || err != nil || !at.next(next) {
				return
			}
		}
	}
}

// place is where a list that is read page by page goes on.
type place struct {
	following string // empty at the beginning
	expired   bool   // it has just outlived what it began with
}

// next moves to the page that follows, if there is one.
func (p *place) next(following string) bool {
	p.following, p.expired = following, false
	return following != ""
}

// outlives says whether a list goes on although no page came, and moves there. The API
// server forgets what it had when a list began, after 5 minutes mostly
// (--etcd-compaction-interval), and says then where to go on with what it has now:
// behind the last element that was read. Each element has one place in the order, so that
// nothing which is there all the time is left out or comes twice. A list that
// never came to an end because it is long would be of no use at all.
func (p *place) outlives(err error) bool {
	var said apierrors.APIStatus
	if p.following == "" || p.expired || !apierrors.IsResourceExpired(err) || !errors.As(err, &said) {
		return false
	}
	following := said.Status().Continue
	if following == "" {
		return false
	}
	p.following, p.expired = following, true
	return true
}

// ahead has each element of a sequence made while somebody works with the one before it.
func ahead[E any](ctx context.Context, sequence func(context.Context) iter.Seq2[E, error]) iter.Seq2[E, error] {
	type made struct {
		element E
		err     error
	}
	return func(yield func(E, error) bool) {
		making, stop := context.WithCancel(ctx)
		defer stop()
		next := make(chan made)
		go func() {
			defer close(next)
			for element, err := range sequence(making) {
				select {
				case next <- made{element, err}:
				case <-making.Done():
					return
				}
			}
		}()
		for m := range next {
			if !yield(m.element, m.err) {
				return
			}
		}
		if err := ctx.Err(); err != nil { // there may have been more
			yield(*new(E), err)
		}
	}
}

// page is a part of a list.
type page[E any] struct {
	elements  []E // that are kept
	size      int // with those that aren't
	following string
	remaining int // elements of the pages that follow, where the API server says so
}

// page reads one page. It is read to its end before anybody looks at it, since a
// body that is read slowly is cut off.
func (l List[E]) page(ctx context.Context, following string, limit int) (page[E], error) {
	ctx, cancel := context.WithTimeout(ctx, pageTime)
	defer cancel()
	accept := whole
	if l.Metadata != nil {
		accept = metadataOnly
	}
	request := At(l.API.Get(), l.Kind, l.Namespace).
		SetHeader("Accept", accept).
		Param("limit", fmt.Sprint(limit)).
		Param("continue", following)
	for name, value := range map[string]string{"labelSelector": l.Selector.Labels, "fieldSelector": l.Selector.Fields} {
		if value != "" {
			request = request.Param(name, value)
		}
	}
	body, err := request.Stream(ctx)
	if err != nil {
		return page[E]{}, err
	}
	defer body.Close() //nolint:errcheck // it was read, or is of no use
	return l.decode(body)
}

// ErrPartial says that an answer isn't a list, or not all of it, or not one that
// can be understood.
var ErrPartial = errors.New("the answer is not a complete list")

// decode reads a list element by element: whole, some are large.
func (l List[E]) decode(body io.Reader) (read page[E], err error) {
	decoder := json.NewDecoder(body)
	var kind string
	var metadata struct {
		Continue           string
		RemainingItemCount int
	}
	elements := false
	err = eachField(decoder, func(name string) error {
		switch name {
		case "kind":
			return decoder.Decode(&kind)
		case "metadata":
			return decoder.Decode(&metadata)
		case "items":
			elements = true
			return l.elements(decoder, &read)
		default:
			return decoder.Decode(&json.RawMessage{})
		}
	})
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return page[E]{}, fmt.Errorf("%w: it was cut off", ErrPartial)
	case err != nil:
		return page[E]{}, err
	case !elements, !strings.HasSuffix(kind, "List"):
		return page[E]{}, fmt.Errorf("%w: it is a %q", ErrPartial, kind)
	case metadata.Continue == "" && metadata.RemainingItemCount > 0:
		return page[E]{}, fmt.Errorf("%w: %d elements are missing", ErrPartial, metadata.RemainingItemCount)
	}
	read.following, read.remaining = metadata.Continue, metadata.RemainingItemCount
	return read, nil
}

// elements reads the elements of a list, or a null.
func (l List[E]) elements(decoder *json.Decoder, read *page[E]) error {
	begin, err := decoder.Token()
	if err != nil || begin == nil {
		return err
	}
	if begin != json.Delim('[') {
		return fmt.Errorf("%w: its elements are %v", ErrPartial, begin)
	}
	var raw json.RawMessage // whose room is used again
	for decoder.More() {
		e, kept, err := l.element(decoder, &raw)
		if err != nil {
			return err
		}
		read.size++
		if kept {
			read.elements = append(read.elements, e)
		}
	}
	_, err = decoder.Token()
	return err
}

func (l List[E]) element(decoder *json.Decoder, raw *json.RawMessage) (e E, kept bool, err error) {
	if l.Metadata == nil {
		if err := decoder.Decode(raw); err != nil {
			return e, false, err
		}
		return l.Whole(*raw)
	}
	var element struct {
		Metadata struct {
			metav1.ObjectMeta
			ManagedFields ignored `json:"managedFields"` // which are most of it
		} `json:"metadata"`
	}
	if err := decoder.Decode(&element); err != nil {
		return e, false, err
	}
	e, kept = l.Metadata(&element.Metadata.ObjectMeta)
	return e, kept, nil
}

type ignored struct{}

// UnmarshalJSON implements json.Unmarshaler.
func (ignored) UnmarshalJSON([]byte) error { return nil }

// eachField calls f with each field of an object, to read its value.
func eachField(decoder *json.Decoder, f func(name string) error) error {
	begin, err := decoder.Token()
	if err != nil {
		return err
	}
	if begin != json.Delim('{') {
		return fmt.Errorf("%w: it begins with %v", ErrPartial, begin)
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		if err := f(fmt.Sprint(name)); err != nil {
			return err
		}
	}
	_, err = decoder.Token()
	return err
}
