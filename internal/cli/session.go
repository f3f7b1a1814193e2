package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/ask"
	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
)

// session is a connection to the cluster, by the rights of whoever runs the program.
type session struct {
	*program
	config  *rest.Config
	reader  *ask.Client
	objects *cluster.Objects

	once      sync.Once // for key
	key       *hashing.Key
	sharedKey bool      // key is that of the programs
	settings  *settings // once they were read

	parts map[string]reading // of the installation, as far as they were read

	mutex sync.Mutex
	noted map[string]bool
}

func (p *program) connect() (*session, error) {
	config, err := p.flags.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	s := &session{program: p, config: config, noted: map[string]bool{}, parts: map[string]reading{}}
	if s.reader, err = ask.NewClient(config); err != nil {
		return nil, err
	}
	contents := rest.CopyConfig(config)
	contents.ContentType = "application/vnd.kubernetes.protobuf"
	s.objects, err = cluster.Connect(contents, cluster.Scope{Namespaces: cluster.Everywhere, Secrets: cluster.Everywhere}, s.digestKey)
	return s, err
}

// run has a command work with a connection.
func (p *program) run(f func(ctx context.Context, s *session, args []string) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, args []string) error {
		s, err := p.connect()
		if err != nil {
			return err
		}
		return f(command.Context(), s, args)
	}
}

// note tells, once, of something that isn't the answer.
func (s *session) note(format string, values ...any) {
	text := clean(fmt.Sprintf(format, values...))
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if !s.noted[text] {
		s.noted[text] = true
		fmt.Fprintln(s.ErrOut, "note:", text)
	}
}

// digestKey is the key of Secrets' digests. Hardly anybody may read that: whoever may
// not compares contents by a key of their own, which serves as well as long as nobody
// wants to know the name of a snapshot that isn't there.
func (s *session) digestKey() *hashing.Key { return s.key }

func (s *session) readDigestKey(ctx context.Context) { s.once.Do(func() { s.findDigestKey(ctx) }) }

func (s *session) findDigestKey(ctx context.Context) {
	var key [hashing.KeySize]byte
	_, _ = rand.Read(key[:])         // never fails
	own, _ := hashing.NewKey(key[:]) // it has the size
	s.key = own                      // to read the Secret with
	object, found, err := s.objects.Find(ctx, s.home, refs.Target{Kind: wellknown.Secret, Name: wellknown.DigestKeySecret})
	if err != nil || !found {
		return
	}
	if shared, err := hashing.NewKey([]byte(object.Data[wellknown.DigestKeyData])); err == nil {
		s.key, s.sharedKey = shared, true
	}
}

// cause is what an error of the API server says, without what we were doing.
func cause(err error) error {
	if status := (*apierrors.StatusError)(nil); errors.As(err, &status) {
		return status
	}
	return err
}
