package chart

import (
	"slices"
	"strings"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	kubernetesscheme "k8s.io/client-go/kubernetes/scheme"
)

var scheme = newScheme()

func newScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(kubernetesscheme.AddToScheme(s))
	utilruntime.Must(certmanagerv1.AddToScheme(s))
	return s
}

// row is a switch, or some that belong together, and what comes of it.
type row struct {
	name, values string
	check        func(*testing.T, objects)
}

// both checks the Deployments of both programs.
func both(check func(*testing.T, *corev1.PodTemplateSpec)) func(*testing.T, objects) {
	return func(t *testing.T, all objects) {
		check(t, pod(t, all, "webhook"))
		check(t, pod(t, all, "versioner"))
	}
}

// of checks the Pods of one program.
func of(program string, check func(*testing.T, *corev1.PodTemplateSpec)) func(*testing.T, objects) {
	return func(t *testing.T, all objects) { check(t, pod(t, all, program)) }
}

func pod(t *testing.T, all objects, program string) *corev1.PodTemplateSpec {
	t.Helper()
	d := decode[appsv1.Deployment](t, all, "Deployment", "configpin-"+program)
	return &d.Spec.Template
}

// flag checks that a program is started with flags.
func flag(program string, flags ...string) func(*testing.T, objects) {
	return of(program, func(t *testing.T, p *corev1.PodTemplateSpec) {
		t.Helper()
		for _, each := range flags {
			assert.Contains(t, p.Spec.Containers[0].Args, each)
		}
	})
}

func every(checks ...func(*testing.T, objects)) func(*testing.T, objects) {
	return func(t *testing.T, all objects) {
		for _, check := range checks {
			check(t, all)
		}
	}
}

// none checks that there is no object of these kinds.
func none(kinds ...string) func(*testing.T, objects) {
	return func(t *testing.T, all objects) {
		for _, o := range all {
			assert.NotContains(t, kinds, o.GetKind(), o.GetName())
		}
	}
}

// inNamespaces checks where roles of a name are.
func inNamespaces(name string, want ...string) func(*testing.T, objects) {
	return func(t *testing.T, all objects) {
		for _, kind := range []string{"Role", "RoleBinding"} {
			var found []string
			for _, o := range all {
				if o.GetKind() == kind && o.GetName() == name {
					found = append(found, o.GetNamespace())
				}
			}
			assert.ElementsMatch(t, want, found, "%s %s", kind, name)
		}
	}
}

func configuration(t *testing.T, all objects) admissionregistrationv1.MutatingWebhookConfiguration {
	t.Helper()
	return decode[admissionregistrationv1.MutatingWebhookConfiguration](t, all, "MutatingWebhookConfiguration", "zz-configpin")
}

// ofWebhooks checks both webhooks of the configuration.
func ofWebhooks(check func(*testing.T, admissionregistrationv1.MutatingWebhook)) func(*testing.T, objects) {
	return func(t *testing.T, all objects) {
		found := configuration(t, all).Webhooks
		require.Len(t, found, 2)
		for _, w := range found {
			check(t, w)
		}
	}
}

// selects checks an expression of the namespace selectors, also of the policy that
// keeps pins while the webhook is away.
func selects(operator string, namespaces ...string) func(*testing.T, objects) {
	return func(t *testing.T, all objects) {
		policy := decode[admissionregistrationv1.ValidatingAdmissionPolicy](t, all, "ValidatingAdmissionPolicy", "configpin-keep-pins")
		selectors := []string{policy.Spec.MatchConstraints.NamespaceSelector.String()}
		for _, w := range configuration(t, all).Webhooks {
			selectors = append(selectors, w.NamespaceSelector.String())
		}
		for _, s := range selectors {
			assert.Contains(t, s, "Key:kubernetes.io/metadata.name,Operator:"+operator)
			for _, namespace := range namespaces {
				assert.Contains(t, s, namespace)
			}
		}
	}
}

func rules(t *testing.T, all objects, role string) []rbacv1.PolicyRule {
	t.Helper()
	return decode[rbacv1.ClusterRole](t, all, "ClusterRole", role).Rules
}

// switches has a row for everything that can be set.
var switches = []row{
	{"another name", "nameOverride: pins", func(t *testing.T, all objects) {
		assert.NotNil(t, all.named("Deployment", "configpin-pins-webhook"))
	}},
	{"another full name", "fullnameOverride: pins", func(t *testing.T, all objects) {
		assert.NotNil(t, all.named("Deployment", "pins-webhook"))
		policy := decode[admissionregistrationv1.ValidatingAdmissionPolicy](t, all, "ValidatingAdmissionPolicy", "configpin-ourselves")
		assert.Contains(t, policy.Spec.MatchConditions[0].Expression, "'system:serviceaccount:configpin-system:pins-versioner'")
		assert.Equal(t, "pins-webhook", configuration(t, all).Webhooks[0].ClientConfig.Service.Name)
	}},
	{"images", `
image: {registry: registry.example.com/, tag: v9, pullPolicy: Always, pullSecrets: [{name: regcred}]}
webhook: {image: {repository: pins/webhook}}
versioner: {image: {repository: pins/versioner, digest: "sha256:` + zeros + `"}}`, func(t *testing.T, all objects) {
		assert.Equal(t, "registry.example.com/pins/webhook:v9", pod(t, all, "webhook").Spec.Containers[0].Image)
		assert.Equal(t, "registry.example.com/pins/versioner@sha256:"+zeros, pod(t, all, "versioner").Spec.Containers[0].Image)
		both(func(t *testing.T, p *corev1.PodTemplateSpec) {
			assert.Equal(t, corev1.PullAlways, p.Spec.Containers[0].ImagePullPolicy)
			assert.Equal(t, []corev1.LocalObjectReference{{Name: "regcred"}}, p.Spec.ImagePullSecrets)
		})(t, all)
	}},
	{"the digest of the webhook's image", `webhook: {image: {digest: "sha256:` + zeros + `"}}`, of("webhook", func(t *testing.T, p *corev1.PodTemplateSpec) {
		assert.Equal(t, "configpin/webhook@sha256:"+zeros, p.Spec.Containers[0].Image)
	})},
	{"some namespaces", "namespaces: [shop, bank]", every(
		none("ClusterRole", "ClusterRoleBinding"),
		inNamespaces("configpin-webhook", "shop", "bank"),
		inNamespaces("configpin-versioner", "shop", "bank", namespace),
		flag("webhook", "--namespaces=shop,bank"), flag("versioner", "--namespaces=shop,bank"),
		selects("In,Values:[shop bank]"),
	)},
	{
		"namespaces to leave alone", "excludedNamespaces: [infra, kube-system]",
		selects("NotIn,Values:[kube-system kube-public kube-node-lease cert-manager configpin-system infra]"),
	},
	{"strict", "strict: true", ofWebhooks(func(t *testing.T, w admissionregistrationv1.MutatingWebhook) {
		assert.Len(t, w.MatchConditions, 1)
		assert.Equal(t, admissionregistrationv1.Fail, *w.FailurePolicy)
	})},
	{"Secrets", "secrets: {enabled: true}", every(
		flag("webhook", "--secrets"), flag("versioner", "--secrets"),
		inNamespaces("configpin-webhook-digest-key", namespace), inNamespaces("configpin-versioner-digest-key", namespace),
		func(t *testing.T, all objects) {
			assert.Len(t, rules(t, all, "configpin-webhook-secrets"), 1)
			assert.Len(t, rules(t, all, "configpin-versioner-secrets"), 1)
		},
	)},
	{"Secrets of some namespaces", "secrets: {namespaces: [shop]}", every(
		flag("webhook", "--secrets-namespaces=shop"), flag("versioner", "--secrets-namespaces=shop"),
		inNamespaces("configpin-webhook-secrets", "shop"), inNamespaces("configpin-versioner-secrets", "shop"),
		inNamespaces("configpin-versioner-digest-key", namespace),
		func(t *testing.T, all objects) { assert.Nil(t, all.named("ClusterRole", "configpin-webhook-secrets")) },
	)},
	{"Secrets of all namespaces that are served", "namespaces: [shop, bank]\nsecrets: {enabled: true}", every(
		none("ClusterRole"), inNamespaces("configpin-webhook-secrets", "shop", "bank"),
	)},
	{"the log", "log: {format: text, level: 1}", every(
		flag("webhook", "--log-format=text", "-v=1"), flag("versioner", "--log-format=text", "-v=1"),
	)},
	{"how many", "webhook: {replicas: 3}\nversioner: {replicas: 2}", func(t *testing.T, all objects) {
		assert.EqualValues(t, 3, *decode[appsv1.Deployment](t, all, "Deployment", "configpin-webhook").Spec.Replicas)
		assert.EqualValues(t, 2, *decode[appsv1.Deployment](t, all, "Deployment", "configpin-versioner").Spec.Replicas)
	}},
	{"ports", "webhook: {port: 9443, healthPort: 9081}\nversioner: {healthPort: 9082}", every(
		flag("webhook", "--bind-address=:9443", "--health-address=:9081"), flag("versioner", "--health-address=:9082"),
		func(t *testing.T, all objects) {
			assert.EqualValues(t, 9443, pod(t, all, "webhook").Spec.Containers[0].Ports[0].ContainerPort)
			ingress := decode[networkingv1.NetworkPolicy](t, all, "NetworkPolicy", "configpin-webhook").Spec.Ingress
			assert.Equal(t, 9443, ingress[0].Ports[0].Port.IntValue())
			assert.Equal(t, 9081, ingress[1].Ports[0].Port.IntValue())
			ingress = decode[networkingv1.NetworkPolicy](t, all, "NetworkPolicy", "configpin-versioner").Spec.Ingress
			assert.Equal(t, 9082, ingress[0].Ports[0].Port.IntValue())
		},
	)},
	{"the network of nodes", "webhook: {hostNetwork: true, port: 9443}", of("webhook", func(t *testing.T, p *corev1.PodTemplateSpec) {
		assert.True(t, p.Spec.HostNetwork)
		assert.Equal(t, corev1.DNSClusterFirstWithHostNet, p.Spec.DNSPolicy)
	})},
	{"the API server's patience", "webhook: {timeoutSeconds: 5}", ofWebhooks(func(t *testing.T, w admissionregistrationv1.MutatingWebhook) {
		assert.EqualValues(t, 5, *w.TimeoutSeconds)
	})},
	{"hashes of config", "hashAnnotations: [example.com/config-hash, example.com/*, sum-*]", every(
		flag("webhook", "--hash-annotations=example.com/config-hash,example.com/*,sum-*"),
		flag("versioner", "--hash-annotations=example.com/config-hash,example.com/*,sum-*"),
	)},
	{"how much at a time", "webhook: {concurrency: 7}\nversioner: {concurrency: 8}", every(
		flag("webhook", "--concurrency=7"), flag("versioner", "--concurrency=8"),
	)},
	{"callers", "webhook: {callers: {caSecret: callers, names: [a, b]}}", every(
		flag("webhook", "--client-ca=/callers/ca.crt", "--client-names=a,b"),
		of("webhook", func(t *testing.T, p *corev1.PodTemplateSpec) {
			assert.Equal(t, "callers", p.Spec.Volumes[1].Secret.SecretName)
			assert.Equal(t, "/callers", p.Spec.Containers[0].VolumeMounts[1].MountPath)
		}),
	)},
	{"further flags", "webhook: {extraArgs: [--drain=9s]}\nversioner: {extraArgs: [--sweep=1m]}", every(
		flag("webhook", "--drain=9s"), flag("versioner", "--sweep=1m"),
	)},
	{"Pods", `
webhook: &pod
  resources: {requests: {cpu: 1}}
  priorityClassName: system-cluster-critical
  nodeSelector: {pool: infra}
  tolerations: [{key: infra, operator: Exists}]
  affinity: {nodeAffinity: {}}
  podLabels: {team: platform}
  podAnnotations: {note: x}
  serviceAccount: {annotations: {role: pins}}
versioner: *pod`, every(
		both(func(t *testing.T, p *corev1.PodTemplateSpec) {
			assert.Equal(t, "1", p.Spec.Containers[0].Resources.Requests.Cpu().String())
			assert.Equal(t, "system-cluster-critical", p.Spec.PriorityClassName)
			assert.Equal(t, "infra", p.Spec.NodeSelector["pool"])
			assert.Len(t, p.Spec.Tolerations, 1)
			assert.NotNil(t, p.Spec.Affinity.NodeAffinity)
			assert.Equal(t, "platform", p.Labels["team"])
			assert.Equal(t, "x", p.Annotations["note"])
		}),
		func(t *testing.T, all objects) {
			for _, program := range []string{"webhook", "versioner"} {
				assert.Equal(t, "pins", all.named("ServiceAccount", "configpin-"+program).GetAnnotations()["role"])
				assert.NotContains(t, all.named("Deployment", "configpin-"+program).GetLabels(), "team")
			}
		},
	)},
	{
		"how Pods are spread", "webhook: {topologySpreadConstraints: [{maxSkew: 2, topologyKey: rack, whenUnsatisfiable: DoNotSchedule}]}",
		of("webhook", func(t *testing.T, p *corev1.PodTemplateSpec) {
			require.Len(t, p.Spec.TopologySpreadConstraints, 1)
			assert.Equal(t, "rack", p.Spec.TopologySpreadConstraints[0].TopologyKey)
		}),
	},
	{
		"when workloads roll out", `
versioner:
  settle: 1s
  settleMax: 2s
  rollouts: {burst: 4, every: 3s}
  snapshots: {burst: 5, every: 4s}`,
		flag("versioner", "--settle=1s", "--settle-max=2s", "--rollout-burst=4", "--rollout-every=3s", "--snapshot-burst=5", "--snapshot-every=4s"),
	},
	{"what is retained", `
versioner:
  historyLimit: 3
  secretsHistoryLimit: 2
  gc: {mode: dry-run, interval: 1h, minAge: 2h, grace: 3h, goneAfter: 4h, secretsGoneAfter: 5h, referenceKinds: [argoproj.io/v1alpha1/rollouts]}`, every(
		flag("versioner", "--history-limit=3", "--secrets-history-limit=2", "--gc=dry-run", "--gc-interval=1h", "--gc-min-age=2h", "--gc-grace=3h", "--gc-gone-after=4h", "--secrets-gc-gone-after=5h",
			"--gc-reference-kinds=argoproj.io/v1alpha1/rollouts"),
		func(t *testing.T, all objects) {
			assert.True(t, slices.ContainsFunc(rules(t, all, "configpin-versioner"), func(r rbacv1.PolicyRule) bool {
				return r.APIGroups[0] == "argoproj.io" && r.Resources[0] == "rollouts" && slices.Equal(r.Verbs, []string{"list"})
			}))
		},
	)},
	{"cert-manager's certificates", "certificates: {certManager: {authorityDuration: 48h, duration: 24h, renewBefore: 8h}}", func(t *testing.T, all objects) {
		authority := decode[certmanagerv1.Certificate](t, all, "Certificate", "configpin-webhook-authority").Spec
		assert.Equal(t, "48h0m0s", authority.Duration.Duration.String())
		served := decode[certmanagerv1.Certificate](t, all, "Certificate", "configpin-webhook").Spec
		assert.Equal(t, "24h0m0s", served.Duration.Duration.String())
		assert.Equal(t, "8h0m0s", served.RenewBefore.Duration.String())
	}},
	{"an issuer of one's own", "certificates: {certManager: {issuerRef: {kind: ClusterIssuer, name: corporate}}}", every(
		none("Issuer"),
		func(t *testing.T, all objects) {
			assert.Nil(t, all.named("Certificate", "configpin-webhook-authority"))
			issuer := decode[certmanagerv1.Certificate](t, all, "Certificate", "configpin-webhook").Spec.IssuerRef
			assert.Equal(t, "ClusterIssuer corporate", issuer.Kind+" "+issuer.Name)
		},
	)},
	{"without cert-manager", "certificates: {certManager: {enabled: false}, secretName: pins-tls, caBundle: PEM}", every(
		none("Issuer", "Certificate"),
		of("webhook", func(t *testing.T, p *corev1.PodTemplateSpec) {
			assert.Equal(t, "pins-tls", p.Spec.Volumes[0].Secret.SecretName)
		}),
		ofWebhooks(func(t *testing.T, w admissionregistrationv1.MutatingWebhook) {
			assert.Equal(t, "PEM", string(w.ClientConfig.CABundle))
		}),
		func(t *testing.T, all objects) { assert.Empty(t, configuration(t, all).Annotations) },
	)},
	{
		"certificates that the versioner issues, in some namespaces", "{namespaces: [shop], certificates: {certManager: {enabled: false}, selfIssued: {enabled: true}}}",
		func(t *testing.T, all objects) {
			var cluster []string
			for _, o := range all {
				if o.GetKind() == "ClusterRole" {
					cluster = append(cluster, o.GetName())
				}
			}
			assert.Equal(t, []string{"configpin-versioner-certificate"}, cluster)
		},
	},
	{"certificates that the versioner issues", "certificates: {certManager: {enabled: false}, selfIssued: {enabled: true}}", every(
		none("Certificate", "Issuer"),
		flag("versioner", "--issue-certificate=configpin-system/configpin-webhook"),
		both(func(t *testing.T, p *corev1.PodTemplateSpec) {
			require.Len(t, p.Spec.Volumes, 1)
			assert.Equal(t, "configpin-webhook-certificate", p.Spec.Volumes[0].Secret.SecretName)
			for _, item := range p.Spec.Volumes[0].Secret.Items {
				assert.NotContains(t, item.Key, "ca", "the key of the authority is nobody's business")
			}
		}),
		func(t *testing.T, all objects) {
			secret := decode[corev1.Secret](t, all, "Secret", "configpin-webhook-certificate")
			assert.Empty(t, secret.Data, "helm would put it back with each upgrade")
			assert.Empty(t, configuration(t, all).Annotations)
			for _, rule := range rules(t, all, "configpin-versioner-certificate") {
				if slices.Contains(rule.Verbs, "update") {
					assert.Equal(t, []string{"zz-configpin"}, rule.ResourceNames)
				}
			}
			policy := decode[admissionregistrationv1.ValidatingAdmissionPolicy](t, all, "ValidatingAdmissionPolicy", "configpin-ourselves")
			assert.True(t, slices.ContainsFunc(policy.Spec.Validations, func(v admissionregistrationv1.Validation) bool {
				return strings.Contains(v.Expression, "variables.isCertificate")
			}))
		},
	)},
	{"a rollout in the network of nodes", "webhook: {hostNetwork: true, port: 9443}", func(t *testing.T, all objects) {
		d := decode[appsv1.Deployment](t, all, "Deployment", "configpin-webhook")
		assert.Equal(t, 0, d.Spec.Strategy.RollingUpdate.MaxSurge.IntValue(), "there may be no node for one more")
		assert.Equal(t, 1, d.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue())
	}},
	{"who may delete snapshots", "policies: {adminGroups: [ops, configpin:admins]}", func(t *testing.T, all objects) {
		refusal := decode[admissionregistrationv1.ValidatingAdmissionPolicy](t, all, "ValidatingAdmissionPolicy", "configpin-snapshots")
		assert.True(t, slices.ContainsFunc(refusal.Spec.Variables, func(v admissionregistrationv1.Variable) bool {
			return strings.Contains(v.Expression, "--as-group=ops --as-group=system:masters")
		}), "what it tells to do has to work")
		policy := decode[admissionregistrationv1.ValidatingAdmissionPolicy](t, all, "ValidatingAdmissionPolicy", "configpin-snapshots")
		assert.Contains(t, policy.Spec.Variables[0].Expression, "['ops', 'configpin:admins']")
	}},
	{"who may call", `
networkPolicy:
  apiServers: [192.0.2.10/32, "2001:db8::1/128"]
  metricsFrom: [{namespaceSelector: {matchLabels: {team: monitoring}}}]`, func(t *testing.T, all objects) {
		ingress := decode[networkingv1.NetworkPolicy](t, all, "NetworkPolicy", "configpin-webhook").Spec.Ingress
		assert.Equal(t, "2001:db8::1/128", ingress[0].From[1].IPBlock.CIDR)
		assert.Equal(t, "monitoring", ingress[1].From[0].NamespaceSelector.MatchLabels["team"])
	}},
	{"no NetworkPolicy", "networkPolicy: {enabled: false}", none("NetworkPolicy")},
	{"no FlowSchema", "flowSchema: {enabled: false}", none("FlowSchema", "PriorityLevelConfiguration")},
	{"metrics", "monitoring: {enabled: true, labels: {release: prometheus}}", func(t *testing.T, all objects) {
		monitor := all.named("PodMonitor", "configpin")
		require.NotNil(t, monitor)
		assert.Equal(t, "prometheus", monitor.GetLabels()["release"])
		selected, _, err := unstructured.NestedStringMap(monitor.Object, "spec", "selector", "matchLabels")
		require.NoError(t, err)
		both(func(t *testing.T, p *corev1.PodTemplateSpec) {
			assert.Subset(t, p.Labels, selected)
			assert.True(t, slices.ContainsFunc(p.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool { return p.Name == "health" }))
		})(t, all)
	}},
	{"a share of the API server", "flowSchema: {concurrencyShares: 20}", func(t *testing.T, all objects) {
		level := decode[flowcontrolv1.PriorityLevelConfiguration](t, all, "PriorityLevelConfiguration", "configpin-webhook")
		assert.EqualValues(t, 20, *level.Spec.Limited.NominalConcurrencyShares)
	}},
	{"disruptions", `podDisruptionBudget: {maxUnavailable: "25%"}`, func(t *testing.T, all objects) {
		budget := decode[policyv1.PodDisruptionBudget](t, all, "PodDisruptionBudget", "configpin-webhook").Spec
		assert.Equal(t, "25%", budget.MaxUnavailable.String())
		assert.Equal(t, policyv1.AlwaysAllow, *budget.UnhealthyPodEvictionPolicy)
	}},
}

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

// refused are values that can't be meant, and what helm says then.
var refused = map[string]string{
	"webhook: {replicaCount: 3}":                                     "replicaCount",
	`policies: {adminGroups: ["o'brien"]}`:                           "adminGroups",
	"webhook: {replicas: two}":                                       "/replicas",
	"versioner: {settle: 5}":                                         "/settle",
	"versioner: {settle: 5 s}":                                       "/settle",
	"webhook: {port: 99999}":                                         "/port",
	"namespaces: [Shop]":                                             "'Shop'",
	"versioner: {gc: {mode: soon}}":                                  "'on', 'dry-run', 'off'",
	"versioner: {gc: {referenceKinds: [rollouts]}}":                  "'rollouts'",
	"networkPolicy: {apiServers: [api.example.com]}":                 "'api.example.com'",
	"certificates: {certManager: {enabled: false}}":                  "certificates.secretName has to be set",
	"certificates: {certManager: {enabled: false}, secretName: tls}": "certificates.caBundle has to be set",
	"certificates: {caBundle: abc}":                                  "certificates.caBundle is for where",
	"webhook: {callers: {names: [api]}}":                             "set webhook.callers.caSecret too",
	"secrets: {namespaces: [kube-system]}":                           "namespaces or secrets.namespaces has kube-system",
	"nameOverride: Pins":                                             "/nameOverride",
	"certificates: {selfIssued: {enabled: true}}":                    "certificates.certManager.enabled has to be false",
	"certificates: {certManager: {enabled: false}, selfIssued: {enabled: true}, secretName: tls}": "leave certificates.secretName and certificates.caBundle out",
	"secrets: {enabled: true, namespaces: [shop]}":                                                "set one of them",
	"namespaces: [shop]\nsecrets: {namespaces: [bank]}":                                           "secrets.namespaces has bank, which isn't served",
	"namespaces: [kube-system]":                                                                   "namespaces or secrets.namespaces has kube-system, which is never served",
	"webhook: {hostNetwork: true}":                                                                "webhook.port has to be another than 10250",
}
