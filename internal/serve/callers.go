package serve

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// Callers are those who are answered.
type Callers struct {
	// CA is a file of certificates. A caller has to show, in the handshake, a
	// certificate for clients that one of these signed.
	CA string

	// Names, if there are any, are those of which such a certificate must have
	// one: as its common name, or as a DNS name.
	Names []string

	pool loaded[x509.CertPool]
}

func (c *Callers) files() files[x509.CertPool] {
	return files[x509.CertPool]{label: fileClientCA, names: []string{c.CA}, make: parsePool}
}

// check verifies who calls. It is asked by the handshake, after which alone a
// request is read; once more than crypto/tls would do by itself, because that
// reads its ClientCAs once.
func (c *Callers) check(state tls.ConnectionState) error {
	pool := c.pool.now.Load()
	if pool == nil {
		return errors.New("checking the caller: there is no client CA yet")
	}
	if len(state.PeerCertificates) == 0 {
		return errors.New("checking the caller: it shows no certificate")
	}
	leaf := state.PeerCertificates[0]
	intermediates := x509.NewCertPool()
	for _, certificate := range state.PeerCertificates[1:] {
		intermediates.AddCert(certificate)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots:         pool,
		Intermediates: intermediates,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	switch {
	case err != nil:
		return fmt.Errorf("checking the caller: %w", err)
	case !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth): // Verify takes none for any
		return errors.New("checking the caller: its certificate isn't said to be for clients")
	case !c.named(leaf):
		return fmt.Errorf("checking the caller: %q is none of --client-names", leaf.Subject.CommonName)
	}
	return nil
}

func (c *Callers) named(leaf *x509.Certificate) bool {
	return len(c.Names) == 0 || slices.ContainsFunc(c.Names, func(name string) bool {
		return name == leaf.Subject.CommonName || slices.Contains(leaf.DNSNames, name)
	})
}
