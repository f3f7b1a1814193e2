package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// How long certificates last that nobody else issues: as long as those that package
// certs asks of cert-manager.
const (
	authorityDuration   = 10 * 365 * 24 * time.Hour
	certificateDuration = 90 * 24 * time.Hour
	renewBefore         = 30 * 24 * time.Hour
)

// issue has the manager issue the webhook's certificate, where there is no cert-manager:
// into a Secret that is there, called as the Service is, and of its authority into the
// webhook configuration. Whoever leads does.
func issue(mgr manager.Manager, o *options) error {
	namespace, service, _ := strings.Cut(o.issueFor, "/")
	err := rotator.AddRotator(mgr, &rotator.CertRotator{
		SecretKey:             types.NamespacedName{Namespace: namespace, Name: service + "-certificate"},
		CertDir:               o.issuedDir,
		CAName:                service + "-authority",
		CAOrganization:        "configpin",
		DNSName:               fmt.Sprintf("%s.%s.svc", service, namespace),
		IsReady:               make(chan struct{}),
		Webhooks:              []rotator.WebhookInfo{{Name: webhookConfiguration, Type: rotator.Mutating}},
		FieldOwner:            "configpin-versioner",
		RequireLeaderElection: true,
		CaCertDuration:        authorityDuration,
		ServerCertDuration:    certificateDuration,
		LookaheadInterval:     renewBefore,
	})
	if err != nil {
		return fmt.Errorf("issuing the webhook's certificate: %w", err)
	}
	return nil
}

// webhookConfiguration is what it is called wherever configpin is installed.
const webhookConfiguration = "zz-configpin"
