package serve

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"

	logf "sigs.k8s.io/controller-runtime/pkg/log"
)

// loaded is what is made of some files, and made again when they change. Files
// that are of no use, because one is missing or only half written, leave it as it
// was.
type loaded[T any] struct {
	now   atomic.Pointer[T]
	texts [][]byte // of the files that now was made of
	said  string   // what was last wrong with them
}

// files say what to make of which files.
type files[T any] struct {
	label string // of the metric
	names []string
	make  func(texts [][]byte) (*T, error)
}

// look reads the files, and says once what is wrong with them, and once when nothing is
// any more. Every look that fails counts, so that the metric rises for as long as they
// are of no use.
func (l *loaded[T]) look(ctx context.Context, of files[T]) {
	err := l.read(of)
	log, known := logf.FromContext(ctx), l.now.Load() != nil
	if err == nil {
		if l.said != "" {
			log.Info("Certificates are there")
		}
		l.said = ""
		return
	}
	if known {
		reloadErrors.WithLabelValues(of.label).Inc()
	}
	if err.Error() == l.said {
		return
	}
	l.said = err.Error()
	if known {
		log.Error(err, "Going on with what the files held before")
	} else {
		log.Info("Waiting for certificates", "reason", err.Error())
	}
}

func (l *loaded[T]) read(of files[T]) error {
	texts := make([][]byte, len(of.names))
	for i, name := range of.names {
		var err error
		if texts[i], err = os.ReadFile(name); err != nil {
			return fmt.Errorf("reading the %s: %w", of.label, err)
		}
	}
	if l.now.Load() != nil && slices.EqualFunc(texts, l.texts, bytes.Equal) {
		return nil
	}
	made, err := of.make(texts)
	if err != nil {
		return fmt.Errorf("reading the %s of %v: %w", of.label, of.names, err)
	}
	l.now.Store(made)
	l.texts = texts
	return nil
}

// parsePair makes a served certificate of a file with a chain and one with a key.
func parsePair(texts [][]byte) (*tls.Certificate, error) {
	if _, err := parseCertificates(texts[0]); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(texts[0], texts[1])
	return &pair, err
}

func parsePool(texts [][]byte) (*x509.CertPool, error) {
	certificates, err := parseCertificates(texts[0])
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, certificate := range certificates {
		pool.AddCert(certificate)
	}
	return pool, nil
}

const typeCertificate = "CERTIFICATE"

var (
	errNoCertificate = errors.New("it holds no certificate")
	errDamaged       = errors.New("it holds a block that is damaged or cut off")
)

// parseCertificates reads all certificates of a PEM text. The decoder, and so
// tls.X509KeyPair and x509.CertPool, pass over a block that is damaged: of a chain
// that is cut off they would serve a part, and of a bundle trust a part.
func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	blocks := bytes.Count(text, []byte("-----BEGIN "))
	rest := text
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		blocks--
		if block.Type != typeCertificate {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certificates = append(certificates, certificate)
	}
	switch {
	case blocks != 0 || bytes.Contains(rest, []byte("--")):
		return nil, errDamaged
	case len(certificates) == 0:
		return nil, errNoCertificate
	}
	return certificates, nil
}
