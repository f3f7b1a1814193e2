package controlplane

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// leafLifetime is long enough for a control plane that a developer leaves running; each cold start makes new ones.
const leafLifetime = 365 * 24 * time.Hour

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	pem  []byte // cert again, as others want it
	key  crypto.Signer
}

// pair is a certificate with its private key, both PEM.
type pair struct {
	cert, key []byte
}

// openAuthority reads a certificate authority, and makes what is missing of it.
func openAuthority(name, certFile, keyFile string) (authority, error) {
	keyPEM, fresh, err := keyutil.LoadOrGenerateKeyFile(keyFile)
	if err != nil {
		return authority{}, fmt.Errorf("opening the certificate authority %s: %w", name, err)
	}
	parsed, err := keyutil.ParsePrivateKeyPEM(keyPEM)
	if err != nil {
		return authority{}, fmt.Errorf("reading %s: %w", keyFile, err)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return authority{}, fmt.Errorf("reading %s: a %T cannot sign", keyFile, parsed)
	}
	if fresh || !exists(certFile) {
		return newAuthority(name, key, certFile)
	}
	encoded, err := os.ReadFile(certFile)
	if err != nil {
		return authority{}, fmt.Errorf("opening the certificate authority %s: %w", name, err)
	}
	certs, err := cert.ParseCertsPEM(encoded)
	if err != nil {
		return authority{}, fmt.Errorf("reading %s: %w", certFile, err)
	}
	return authority{cert: certs[0], pem: encoded, key: key}, nil
}

func newAuthority(name string, key crypto.Signer, certFile string) (authority, error) {
	root, err := cert.NewSelfSignedCACert(cert.Config{CommonName: name}, key)
	if err != nil {
		return authority{}, fmt.Errorf("making the certificate of %s: %w", name, err)
	}
	encoded, err := cert.EncodeCertificates(root)
	if err != nil {
		return authority{}, fmt.Errorf("encoding the certificate of %s: %w", name, err)
	}
	if err := cert.WriteCert(certFile, encoded); err != nil {
		return authority{}, fmt.Errorf("writing the certificate of %s: %w", name, err)
	}
	return authority{cert: root, pem: encoded, key: key}, nil
}

// client makes a certificate that says who a user is to the API server.
func (a authority) client(user string, groups ...string) (pair, error) {
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// server makes a certificate for something that listens. It may also be shown to others as a client's, as etcd does.
func (a authority) server(name string, names []string, ips []net.IP) (pair, error) {
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		DNSNames:    append([]string{name}, names...),
		IPAddresses: ips,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
}

func (a authority) issue(template *x509.Certificate) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, fmt.Errorf("making a key for %q: %w", template.Subject.CommonName, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return pair{}, fmt.Errorf("making a serial number for %q: %w", template.Subject.CommonName, err)
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-5 * time.Minute) // clocks step back a little, on laptops for example
	template.NotAfter = time.Now().Add(leafLifetime)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return pair{}, fmt.Errorf("signing a certificate for %q: %w", template.Subject.CommonName, err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return pair{}, fmt.Errorf("parsing the certificate for %q: %w", template.Subject.CommonName, err)
	}
	certPEM, err := cert.EncodeCertificates(leaf)
	if err != nil {
		return pair{}, fmt.Errorf("encoding the certificate for %q: %w", template.Subject.CommonName, err)
	}
	keyPEM, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return pair{}, fmt.Errorf("encoding the key for %q: %w", template.Subject.CommonName, err)
	}
	return pair{cert: certPEM, key: keyPEM}, nil
}

func (p pair) write(certFile, keyFile string) error {
	if err := keyutil.WriteKey(keyFile, p.key); err != nil {
		return fmt.Errorf("writing a key: %w", err)
	}
	if err := cert.WriteCert(certFile, p.cert); err != nil {
		return fmt.Errorf("writing a certificate: %w", err)
	}
	return nil
}
