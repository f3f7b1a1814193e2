package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// webhookConfiguration is what it is called wherever configpin is installed.
const webhookConfiguration = "zz-configpin"

// How long certificates last that nobody else issues: as long as cert-manager's do, see
// package certs.
const (
	authorityDuration   = 10 * 365 * 24 * time.Hour
	certificateDuration = 90 * 24 * time.Hour
	renewBefore         = 30 * 24 * time.Hour
)

// retryIssuing is how long to wait after issuing has failed. Whoever deletes the Secret
// puts it back in minutes, or never.
const retryIssuing = 30 * time.Second

// issuer issues the webhook's certificate where there is no cert-manager: into a Secret
// that is there, called as the Service is, and of its authority into the webhook
// configuration. Whoever leads does.
type issuer struct {
	config             *rest.Config
	namespace, service string
	mounted            string // the folder
}

func newIssuer(config *rest.Config, o *options) issuer {
	namespace, service, _ := strings.Cut(o.issueFor, "/")
	return issuer{config: config, namespace: namespace, service: service, mounted: o.issuedDir}
}

// Start issues until ctx ends. It has a manager of its own, because cert-controller ends
// the one that it is in when the Secret is gone, and everything else has to go on.
func (i issuer) Start(ctx context.Context) error {
	for attempt := 1; ctx.Err() == nil; attempt++ {
		if err := i.issue(ctx, attempt); err != nil {
			logf.FromContext(ctx).Error(err, "Issuing the webhook's certificate ended, and begins again")
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryIssuing):
		}
	}
	return nil
}

func (i issuer) issue(ctx context.Context, attempt int) error {
	mgr, err := manager.New(i.config, manager.Options{Metrics: metricsserver.Options{BindAddress: "0"}})
	if err != nil {
		return fmt.Errorf("issuing the webhook's certificate: %w", err)
	}
	err = rotator.AddRotator(mgr, &rotator.CertRotator{
		SecretKey:          types.NamespacedName{Namespace: i.namespace, Name: i.service + "-certificate"},
		CertDir:            i.mounted,
		CAName:             i.service + "-authority",
		CAOrganization:     "configpin",
		DNSName:            fmt.Sprintf("%s.%s.svc", i.service, i.namespace),
		IsReady:            make(chan struct{}),
		Webhooks:           []rotator.WebhookInfo{{Name: webhookConfiguration, Type: rotator.Mutating}},
		FieldOwner:         "configpin-versioner",
		CaCertDuration:     authorityDuration,
		ServerCertDuration: certificateDuration,
		LookaheadInterval:  renewBefore,
		ControllerName:     fmt.Sprintf("certificate-%d", attempt), // a name can be used once
	})
	if err != nil {
		return fmt.Errorf("issuing the webhook's certificate: %w", err)
	}
	return mgr.Start(ctx)
}
