// Package certs says which certificates the webhook has, as objects of cert-manager:
// an authority of its own that lasts for years, and by it a certificate that lasts for
// months and is replaced long before it ends.
//
// They are typed, so that a field that cert-manager doesn't know doesn't compile.
// manifests/components/cert-manager has them as YAML, made by `make generate`. The chart
// has templates, because what is in it is up to values; a test compares the two. What the
// webhook does with a certificate is in internal/serve.
package certs

import (
	"fmt"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// How long certificates last. A leaf that is replaced 30 days before its end leaves
// time to notice that cert-manager doesn't. The authority outlives every installation.
const (
	AuthorityDuration = 10 * 365 * 24 * time.Hour
	Duration          = 90 * 24 * time.Hour
	RenewBefore       = 30 * 24 * time.Hour
)

// Options say for whom certificates are.
type Options struct {
	// Namespace and Service are those of the webhook.
	Namespace, Service string

	// Labels are given to every object.
	Labels map[string]string
}

// Objects returns what cert-manager needs to issue the webhook's certificate, in an
// order in which it can be applied. The API server learns of the authority by the
// annotation cert-manager.io/inject-ca-from on the webhook configuration, which names
// the last of them.
func Objects(o Options) []runtime.Object {
	return []runtime.Object{
		&certmanagerv1.Issuer{
			TypeMeta:   typed(certmanagerv1.IssuerKind),
			ObjectMeta: o.meta(o.selfSigned()),
			Spec:       certmanagerv1.IssuerSpec{IssuerConfig: certmanagerv1.IssuerConfig{SelfSigned: &certmanagerv1.SelfSignedIssuer{}}},
		},
		&certmanagerv1.Certificate{
			TypeMeta:   typed(certmanagerv1.CertificateKind),
			ObjectMeta: o.meta(o.authority()),
			Spec: certmanagerv1.CertificateSpec{
				CommonName: "configpin-webhook-authority",
				SecretName: o.authority(),
				IsCA:       true,
				Duration:   &metav1.Duration{Duration: AuthorityDuration},
				// With the same key, what it signed before it was renewed stays valid.
				PrivateKey: privateKey(certmanagerv1.RotationPolicyNever),
				IssuerRef:  issuer(o.selfSigned()),
			},
		},
		&certmanagerv1.Issuer{
			TypeMeta:   typed(certmanagerv1.IssuerKind),
			ObjectMeta: o.meta(o.authority()),
			Spec:       certmanagerv1.IssuerSpec{IssuerConfig: certmanagerv1.IssuerConfig{CA: &certmanagerv1.CAIssuer{SecretName: o.authority()}}},
		},
		&certmanagerv1.Certificate{
			TypeMeta:   typed(certmanagerv1.CertificateKind),
			ObjectMeta: o.meta(o.Service),
			Spec: certmanagerv1.CertificateSpec{
				SecretName:  o.Service + "-certificate",
				Duration:    &metav1.Duration{Duration: Duration},
				RenewBefore: &metav1.Duration{Duration: RenewBefore},
				DNSNames:    []string{fmt.Sprintf("%s.%s.svc", o.Service, o.Namespace)},
				Usages:      []certmanagerv1.KeyUsage{certmanagerv1.UsageServerAuth},
				PrivateKey:  privateKey(certmanagerv1.RotationPolicyAlways),
				IssuerRef:   issuer(o.authority()),
			},
		},
	}
}

func (o Options) selfSigned() string { return o.Service + "-selfsigned" }

func (o Options) authority() string { return o.Service + "-authority" }

func issuer(name string) cmmeta.IssuerReference {
	return cmmeta.IssuerReference{Group: certmanagerv1.SchemeGroupVersion.Group, Kind: certmanagerv1.IssuerKind, Name: name}
}

func privateKey(rotation certmanagerv1.PrivateKeyRotationPolicy) *certmanagerv1.CertificatePrivateKey {
	return &certmanagerv1.CertificatePrivateKey{Algorithm: certmanagerv1.ECDSAKeyAlgorithm, Size: 256, RotationPolicy: rotation}
}

func typed(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: certmanagerv1.SchemeGroupVersion.String(), Kind: kind}
}

func (o Options) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: o.Namespace, Name: name, Labels: o.Labels}
}
