package cli

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

func (p *program) check() *cobra.Command {
	var out output
	command := &cobra.Command{
		Use:   "check",
		Short: "Find out whether the installation is healthy",
		Long: `Look at the webhook and its certificate, the versioner, the policies, the rights of both
programs, other webhooks, mutating policies, and all opted-in workloads. Each line says what
was found, and what to do about it. It ends with 1 if anything is wrong, and with 2 if
nothing could be verified.

Where no Certificate of cert-manager tells of the webhook's certificate, the Secret that it is
in is read. Whether the webhook answers is tried by a dry run, in the namespace of --namespace: for
that you need the right to create Deployments there. What you may not read is UNKNOWN.`,
		Example: examples(`
%[1]s check
%[1]s check -n shop -o json`),
		Args: noArgs,
		PreRunE: func(*cobra.Command, []string) error {
			if out.format == formatName {
				return errors.New("a check has no names to print: say --output json or yaml")
			}
			return out.check()
		},
		RunE: p.run(func(ctx context.Context, s *session, _ []string) error {
			namespace, err := p.place(false)
			if err != nil {
				return err
			}
			c := &checkup{session: s, namespace: namespace, now: time.Now()}
			c.all(ctx)
			if err := c.print(out); err != nil {
				return err
			}
			switch {
			case slices.ContainsFunc(c.findings, func(f finding) bool { return f.Result == problem }):
				return errNo
			case c.verified() == 0:
				return errors.New("nothing could be verified, so nobody can tell whether the installation is healthy: ask somebody who may read it")
			}
			return nil
		}),
	}
	out.addFlags(command)
	return command
}

// result is what a look at one thing says of it.
type result string

const (
	fine    result = "OK"
	problem result = "PROBLEM"
	unknown result = "UNKNOWN"
)

// finding is a line of the check.
type finding struct {
	About  string `json:"about"`
	Result result `json:"result"`
	Says   string `json:"says"`

	// Do is what to do about it.
	Do string `json:"do,omitempty"`
}

// checkup collects findings.
type checkup struct {
	*session
	namespace string
	now       time.Time
	findings  []finding

	status   *statusReport // of all workloads, once it was read
	unlisted error         // why it can't be, where it can't
}

// everything is the status of all opted-in workloads, read once.
func (c *checkup) everything(ctx context.Context) (statusReport, error) {
	if c.status == nil {
		report, err := c.statusOf(ctx, metav1.NamespaceAll, nil)
		c.status, c.unlisted = &report, err
	}
	return *c.status, c.unlisted
}

func (c *checkup) add(about string, r result, do, says string, values ...any) {
	c.findings = append(c.findings, finding{about, r, fmt.Sprintf(says, values...), do})
}

// unread adds that something can't be read, or isn't there.
func (c *checkup) unread(about string, err error, missing string) {
	switch {
	case apierrors.IsNotFound(err):
		c.add(about, problem, missing, "there is none")
	case apierrors.IsForbidden(err):
		c.add(about, unknown, "", "you may not read it")
	default:
		c.add(about, unknown, "", "%v", cause(err))
	}
}

// unfound adds that the Deployment of one of our programs can't be read, or isn't there.
func (c *checkup) unfound(about string, err error) {
	if !apierrors.IsNotFound(err) {
		c.unread(about, err, "")
		return
	}
	c.add(about, problem, "install configpin, or say with --configpin-namespace where it is", "there is no such Deployment in namespace %s", c.home)
}

func (c *checkup) all(ctx context.Context) {
	c.configuration(ctx)
	c.answers(ctx)
	c.certificate(ctx)
	c.programs(ctx)
	c.leader(ctx)
	c.policies(ctx)
	c.rights(ctx)
	c.workloads(ctx)
}

// checkReport is the answer for programs.
type checkReport struct {
	Findings []finding `json:"findings"`

	// Verified is how many of them are more than UNKNOWN.
	Verified int `json:"verified"`
}

// verified is how many findings say anything.
func (c *checkup) verified() int {
	return len(slices.DeleteFunc(slices.Clone(c.findings), func(f finding) bool { return f.Result == unknown }))
}

func (c *checkup) print(out output) error {
	if out.format != formatTable && out.format != formatWide {
		return out.print(c.Out, answer{report: checkReport{c.findings, c.verified()}})
	}
	width := 0
	for _, f := range c.findings {
		width = max(width, len(f.About))
	}
	colours := map[result]string{fine: green, problem: red, unknown: yellow}
	for _, f := range c.findings {
		fmt.Fprintf(c.Out, "%s  %-*s  %s\n", paint(c.coloured(), colours[f.Result], fmt.Sprintf("%-7s", f.Result)), width, f.About, clean(f.Says))
		if f.Do != "" {
			fmt.Fprintf(c.Out, "%9s%*s-> %s\n", "", width+2, "", clean(f.Do))
		}
	}
	c.say("%d of %d verified.", c.verified(), len(c.findings))
	return nil
}

// Kinds that are looked at.
var (
	mutating     = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"}
	policies     = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"}
	bindings     = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings"}
	certificates = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificates"}
	leases       = schema.GroupVersionResource{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"}
)

// What an installation calls its parts (manifests/).
const (
	configurationName = "zz-configpin"
	leaseName         = "configpin-versioner"
)

// configuration looks at what has the API server call the webhook, and at whom it calls
// afterwards.
func (c *checkup) configuration(ctx context.Context) {
	const about = "webhook configuration"
	configuration, err := c.webhookConfiguration(ctx)
	if err != nil {
		c.unread(about, err, "install configpin; without its webhook, nothing is pinned")
		return
	}
	bundle := configuration.Get("webhooks.0.clientConfig.caBundle").Str
	if bundle == "" {
		c.add(about, problem, "see that cert-manager runs, and its CA injector, and the Certificates in "+c.home, "it has no caBundle, so the API server trusts nobody")
	} else {
		c.add(about, fine, "", "%s, failurePolicy %s", configurationName, configuration.Get("webhooks.0.failurePolicy").Str)
		c.authority(bundle)
	}
	c.rivals(ctx)
	c.mutators(ctx)
}

// authority looks at how long the API server trusts whom it trusts.
func (c *checkup) authority(bundle string) {
	const about = "certificate authority"
	text, err := base64.StdEncoding.DecodeString(bundle)
	if err != nil {
		c.add(about, problem, "see the caBundle of "+configurationName, "it can't be read")
		return
	}
	last := time.Time{}
	for _, certificate := range certificatesIn(text) {
		if certificate.NotAfter.After(last) {
			last = certificate.NotAfter
		}
	}
	c.expires(about, last, "see who is to renew it: kubectl describe certificate -n "+c.home+", or the logs of the versioner", 7)
}

// certificatesIn are those in a text, in PEM.
func certificatesIn(text []byte) []*x509.Certificate {
	var all []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
			all = append(all, certificate)
		}
	}
	return all
}

// expires adds how long a certificate is good for. One that is renewed in time has more
// than least days.
func (c *checkup) expires(about string, last time.Time, do string, least int) {
	days := int(last.Sub(c.now).Hours() / 24)
	switch {
	case last.IsZero():
		c.add(about, problem, do, "it can't be read")
	case !last.After(c.now):
		c.add(about, problem, do, "it expired %s", last.UTC().Format(time.RFC3339))
	case days < least:
		c.add(about, problem, do, "it expires in %d days", days)
	default:
		c.add(about, fine, "", "good for %d days", days)
	}
}

// nonesuch is a ConfigMap that isn't there: admission says so of a workload that names it.
const nonesuch = "configpin-check-nonesuch"

// probe is a workload that nobody wants.
const probe = `{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"generateName": "configpin-check-", "labels": {"configpin.io/enabled": "true"}},
	"spec": {"replicas": 0, "selector": {"matchLabels": {"app": "configpin-check"}}, "template": {"metadata": {"labels": {"app": "configpin-check"}},
	"spec": {"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}, "containers": [{"name": "check", "image": "nonesuch",
	"securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}, "envFrom": [{"configMapRef": {"name": "` + nonesuch + `"}}]}]}}}}`

// answers tries whether the API server reaches the webhook.
func (c *checkup) answers(ctx context.Context) {
	const about = "webhook answers"
	const elsewhere = "say --namespace with one in which configpin serves you, and you may create Deployments"
	settings := c.readSettings(ctx)
	if why := settings.unserved(wellknown.ConfigMap, c.namespace); why != "" {
		c.add(about, unknown, elsewhere, "namespace %s: %s", c.namespace, why)
		return
	}
	patches, err := c.patches(true)
	if err != nil {
		c.add(about, unknown, "", "%v", err)
		return
	}
	began := time.Now()
	touched, err := patches.Probe(ctx, workload.Lookup("apps", "Deployment"), c.namespace, []byte(probe))
	took := time.Since(began).Round(time.Millisecond)
	switch {
	case err != nil && strings.Contains(err.Error(), webhookName):
		c.add(about, problem, "see the Pods and logs of the webhook in namespace "+c.home, "%v", cause(err))
	case err != nil:
		c.add(about, unknown, elsewhere, "%v", cause(err))
	case !slices.ContainsFunc(touched.Warnings, func(text string) bool { return strings.Contains(text, nonesuch) }) && settings.why != "":
		c.add(about, unknown, "", "a dry run in namespace %s passed without it, and nobody can tell whether that namespace is served: %s", c.namespace, settings.why)
	case !slices.ContainsFunc(touched.Warnings, func(text string) bool { return strings.Contains(text, nonesuch) }):
		c.add(about, problem, "see the Pods and logs of the webhook in namespace "+c.home+", its Service and NetworkPolicy; what is written meanwhile is pinned later", "a dry run in namespace %s passed without it", c.namespace)
	default:
		c.add(about, fine, "", "a dry run in namespace %s took %s", c.namespace, took)
	}
}

// webhookName is in the error of a request that fails with our webhook
// (k8s.io/apiserver/pkg/admission/plugin/webhook/errors): nothing else tells whose call
// failed.
const webhookName = "workload.configpin.io"

// certificate looks at what the webhook shows: as cert-manager tells, and else at the
// Secret that it is in.
func (c *checkup) certificate(ctx context.Context) {
	const about = "webhook certificate"
	deployment, err := c.deployment(ctx, webhook)
	if err != nil {
		c.unfound(about, err)
		return
	}
	secret := certificateSecret(deployment)
	if secret == "" {
		c.add(about, unknown, "see the metric configpin_certificate_expiry_days", "the webhook's Deployment mounts no Secret as its certificate")
		return
	}
	for element, err := range c.reader.Every(ctx, certificates, c.home, cluster.Selector{}) {
		if err != nil {
			break // cert-manager isn't there, or not for us to ask
		}
		object := gjson.ParseBytes(element)
		if object.Get("spec.secretName").Str != secret {
			continue
		}
		last, err := time.Parse(time.RFC3339, object.Get("status.notAfter").Str)
		if err != nil {
			c.add(about, problem, "kubectl describe certificate -n "+c.home+" "+object.Get("metadata.name").Str, "it was not issued yet")
			return
		}
		c.expires(about, last, "see why it was not renewed: kubectl describe certificate -n "+c.home, 1)
		return
	}
	c.readDigestKey(ctx) // without one, no Secret is read
	object, found, err := c.objects.Find(ctx, c.home, refs.Target{Kind: wellknown.Secret, Name: secret})
	switch {
	case apierrors.IsForbidden(err):
		c.add(about, unknown, "see the metric configpin_certificate_expiry_days", "you may not read the Secret %s in namespace %s", secret, c.home)
	case err != nil:
		c.unread(about, err, "")
	case !found:
		c.add(about, problem, "see who is to write it, and the logs of the versioner if that is", "there is no Secret %s in namespace %s", secret, c.home)
	default:
		last := time.Time{}
		if chain := certificatesIn([]byte(object.Data[corev1.TLSCertKey])); len(chain) > 0 {
			last = chain[0].NotAfter
		}
		c.expires(about, last, "see who is to renew it, and the logs of the versioner if that is", 1)
	}
}

// programs looks at the Deployments of our programs.
func (c *checkup) programs(ctx context.Context) {
	for _, program := range programs {
		about := program + " runs"
		deployment, err := c.deployment(ctx, program)
		if err != nil {
			c.unfound(about, err)
			continue
		}
		wanted, ready := deployment.Get("spec.replicas").Int(), deployment.Get("status.readyReplicas").Int()
		if ready < wanted || wanted == 0 {
			c.add(about, problem, "kubectl describe -n "+c.home+" deployment/"+deployment.Get("metadata.name").Str+" and its Pods", "%d of %d Pods are ready", ready, wanted)
			continue
		}
		c.add(about, fine, "", "%d of %d Pods are ready", ready, wanted)
	}
}

// leader looks at which versioner leads.
func (c *checkup) leader(ctx context.Context) {
	const about = "versioner leads"
	raw, err := c.reader.One(ctx, leases, c.home, leaseName)
	if err != nil {
		c.unread(about, err, "see the logs of the versioner")
		return
	}
	spec := gjson.GetBytes(raw, "spec")
	renewed, err := time.Parse(time.RFC3339, spec.Get("renewTime").Str)
	holder := spec.Get("holderIdentity").Str
	lasts := time.Duration(spec.Get("leaseDurationSeconds").Int()) * time.Second
	switch {
	case err != nil, holder == "":
		c.add(about, problem, "see the logs of the versioner", "none does")
	case c.now.Sub(renewed) > lasts+clockDifference:
		c.add(about, problem, "see the logs of the versioner; until one leads, changes are pinned at deploys only", "%s did until %s", holder, renewed.UTC().Format(time.RFC3339))
	default:
		c.add(about, fine, "", "%s", holder)
	}
}

// clockDifference is how far the clock here may be from that of the versioner's node.
const clockDifference = time.Minute

// policyNames are those that come with configpin.
var policyNames = []string{"configpin-keep-pins", "configpin-ourselves", "configpin-snapshots"}

func (c *checkup) policies(ctx context.Context) {
	for _, name := range policyNames {
		about := "policy " + strings.TrimPrefix(name, "configpin-")
		_, err := c.reader.One(ctx, policies, metav1.NamespaceAll, name)
		if err == nil {
			_, err = c.reader.One(ctx, bindings, metav1.NamespaceAll, name)
		}
		switch {
		case apierrors.IsNotFound(err):
			c.add(about, problem, "install it again, with configpin's manifests; docs/policies.md says what it is for", "the policy or its binding is missing")
		case err != nil:
			c.unread(about, err, "")
		default:
			c.add(about, fine, "", "in place")
		}
	}
}

// maxTold is how many workloads a finding names.
const maxTold = 5

// workloads looks at all that are opted in.
func (c *checkup) workloads(ctx context.Context) {
	const about = "workloads"
	report, err := c.everything(ctx)
	if err != nil {
		c.unread(about, err, "")
		return
	}
	c.add(about, fine, "", "%s", strings.TrimSuffix(report.Summary.String(), "."))
	for _, row := range []struct {
		about string
		state inspect.State
		do    string
	}{
		{"stale pins", inspect.Settling, "if they stay like this, see the Events of one: kubectl describe"},
		{"dangling pins", inspect.Missing, "deploy them again, or kubectl configpin undo to a revision that is there"},
		{"unreadable", inspect.Unknown, ""},
	} {
		var names []string
		for _, w := range report.Workloads {
			if slices.ContainsFunc(w.Refs, func(r inspect.Ref) bool { return r.State == row.state }) {
				names = append(names, w.Namespace+"/"+w.String())
			}
		}
		switch {
		case len(names) == 0 && row.state == inspect.Unknown:
		case len(names) == 0 && len(report.Summary.Unlisted) > 0:
			c.add(row.about, unknown, "", "none that you may list")
		case len(names) == 0:
			c.add(row.about, fine, "", "none")
		default:
			more := ""
			if len(names) > maxTold {
				names, more = names[:maxTold], fmt.Sprintf(" and %d more", len(names)-maxTold)
			}
			found := problem
			if row.state == inspect.Unknown {
				found = unknown
			}
			c.add(row.about, found, row.do, "%s%s", strings.Join(names, ", "), more)
		}
	}
}
