package plugin

import (
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"
)

type scene struct {
	name string
	play func(*shell)
}

// alone are scenes in which something of configpin is away, one after another.
var alone = []scene{
	{"no-webhook", noWebhook},
	{"lost-key", lostKey},
	{"left-out", leftOut},
	{"blip", blip},
	{"pretended", pretended},
	{"appending", appending},
	{"damped", damped},
	{"check", check},
	{"some-namespaces", someNamespaces},
}

const keptSecret = `
apiVersion: v1
kind: Secret
metadata: {name: token, annotations: {configpin.io/versioned: "true"}}
stringData: {token: spring}
`

func check(s *shell) {
	s.begun()
	s.apply(keptSecret) // so that it matters whether Secrets are served
	s.do("kubectl rollout status -n configpin-system deployment/configpin-webhook deployment/configpin-versioner --timeout=60s")
	s.types("check | grep -A1 'webhook certificate'")
	s.do("kubectl create secret tls -n configpin-system configpin-webhook-certificate --cert=" + s.Configpin.Certificates() + "/tls.crt --key=" + s.Configpin.Certificates() + "/tls.key")
	s.types("check")
	s.types("check -o json | sed -n 1,20p")
	s.types("check -n kube-system")
	s.types("check --as=nobody")

	s.remark("a policy, a right and the versioner are gone; and a webhook comes after ours, first for nobody")
	s.do("kubectl delete validatingadmissionpolicybinding configpin-snapshots")
	s.do("kubectl delete clusterrolebinding configpin-webhook configpin-versioner-secrets")
	s.do("kubectl delete rolebinding -n configpin-system configpin-versioner")
	s.do("kubectl scale -n configpin-system deployment/configpin-versioner --replicas=0")
	s.until("", "kubectl get -n configpin-system deployment configpin-versioner -o jsonpath={.status.readyReplicas}")
	s.apply(`
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: zzz-rival}
webhooks:
  - name: rival.example.com
    clientConfig: {url: "https://127.0.0.1:1/"}
    failurePolicy: Ignore
    sideEffects: None
    admissionReviewVersions: [v1]
    namespaceSelector: {matchLabels: {nobody: "is"}}
    rules: [{apiGroups: ["*"], apiVersions: ["*"], operations: ["*"], resources: ["*/*"]}]
`)
	s.types("check | grep 'other webhooks'")
	s.do("kubectl label namespace " + s.namespace + " nobody=is")
	s.types("check")
	s.do("kubectl delete mutatingwebhookconfiguration zzz-rival")
	s.do("kubectl delete mutatingwebhookconfiguration zz-configpin")
	s.types("check")
	s.types("check --configpin-namespace=elsewhere")
}

func noWebhook(s *shell) {
	s.begun()
	s.revised("green", "spring", 2)
	require.NoError(s.t, s.Configpin.StopWebhook())
	s.types("undo deployment/web --to configmap/app=1")
	s.types("status")
	s.types("resume deployment/web --dry-run=server")
	s.types("resume deployment/web")
	s.types("check | grep -A1 answers")
	s.edit("app", "colour", "red", "autumn")
	s.numbered("configmap/app", 3)
	s.types("status --check")
	s.types("adopt -n " + s.namespace)
	s.do("kubectl create role operator --verb=get,list,patch --resource=deployments.apps && kubectl create rolebinding operator --role=operator --user=operator")
	s.types("unpin deployment/web --as=operator --dry-run=server")
	s.types("unpin deployment/web")
	s.types("status")
	require.NoError(s.t, s.Configpin.StartWebhook(s.t.Context()))
}

// appendingPolicy gives each Deployment an entry that it thinks is missing.
const appendingPolicy = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: append-app}
spec:
  failurePolicy: Fail
  reinvocationPolicy: IfNeeded
  matchConstraints:
    namespaceSelector: {matchLabels: {appends: "yes"}}
    resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}]
  mutations:
    - patchType: JSONPatch
      jsonPatch:
        expression: >-
          object.spec.template.spec.containers[0].envFrom.exists(e, has(e.configMapRef) && e.configMapRef.name == "app") ? [] : [
            JSONPatch{op: "add", path: "/spec/template/spec/containers/0/envFrom/-", value: Object.spec.template.spec.containers.envFrom{
              configMapRef: Object.spec.template.spec.containers.envFrom.configMapRef{name: "app"}}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: append-app}
spec: {policyName: append-app}
`

// appending has a policy of somebody else look for the name of a source.
func appending(s *shell) {
	s.do("kubectl label namespace " + s.namespace + " appends=yes")
	s.begun()
	s.types("check | grep -A1 'mutating policies'")
	s.apply(appendingPolicy)
	s.until("app", "kubectl create -o jsonpath='{.spec.template.spec.containers[0].envFrom[-1:].configMapRef.name}' --dry-run=server -f - <<'EOF'\n"+deployment("probe", "app: probe", "configmap/other")+"\nEOF")
	count := func(when string) {
		s.t.Helper()
		entries := strings.Fields(s.do("kubectl get deployment web -o jsonpath='{.spec.template.spec.containers[0].envFrom[*].configMapRef.name}'"))
		s.remark(fmt.Sprintf("%s: entries of envFrom: %d", when, len(entries)))
	}
	count("before")
	for i := range 3 {
		s.do(fmt.Sprintf("kubectl annotate deployment web example.com/n=%d --overwrite", i))
		count("annotated")
	}
	s.rolledOut("web")
	s.types("check | grep -A1 'mutating policies'")
	s.edit("app", "colour", "green", "spring")
	s.numbered("configmap/app", 2)
	const conflicts = "kubectl get events --field-selector reason=PinConflict"
	s.until("1", conflicts+" --no-headers | wc -l")
	count("the source changed, and three touches were refused")
	s.remark(strings.TrimSpace(s.usual(s.do(conflicts + " -o jsonpath='{.items[*].message}'"))))
	s.types("status")
	s.until("4", "kubectl get replicasets --no-headers | wc -l")

	s.remark("somebody mends the policy")
	s.apply(strings.Replace(appendingPolicy, `.name == "app"`, `.name.startsWith("app")`, 1))
	s.current("deployment/web")
	count("the touch goes through")
	s.types("check | grep -A1 'mutating policies'")
	s.do("kubectl delete mutatingadmissionpolicy,mutatingadmissionpolicybinding append-app")
}

// damped has a source change faster than its workloads may roll out.
func damped(s *shell) {
	require.NoError(s.t, s.Configpin.StopVersioner())
	slow := s.Configpin.Variant([]string{"--rollout-burst=1"}, nil)
	require.NoError(s.t, slow.StartVersioner(s.t.Context(), "slow"))
	s.begun()
	s.revised("green", "spring", 2)
	s.edit("app", "colour", "red", "autumn")
	s.numbered("configmap/app", 3)
	s.until("1", "kubectl get events --field-selector reason=RolloutsDamped --no-headers | wc -l")
	s.types("status --check")
	s.types("explain deployment/web | sed -n 1,2p")
	s.do("kubectl create role developer --verb=get,list --resource=configmaps,deployments.apps && kubectl create rolebinding developer --role=developer --user=developer")
	s.types("status deployment/web --as=developer")
	require.NoError(s.t, slow.StopVersioner("slow"))
	require.NoError(s.t, s.Configpin.StartVersioner(s.t.Context()))
	s.current("deployment/web")
	s.types("status")
	s.types("undo deployment/web --to configmap/app=1")
	s.types("status deployment/web --as=developer")
}

// lostKey has the key of the digests lost: all contents have names by another one then.
func lostKey(s *shell) {
	s.apply(db + deployment("web", enabled, "secret/db"))
	s.rolledOut("web")
	s.numbered("secret/db", 1)
	s.do(`kubectl patch secret db --type=merge -p '{"stringData": {"password": "correct horse"}}'`)
	s.numbered("secret/db", 2)
	s.current("deployment/web")
	s.rolledOut("web")
	require.NoError(s.t, s.Configpin.StopVersioner())
	s.do("kubectl delete secret -n configpin-system configpin-digest-key")
	s.types("status")
	s.types("diff secret/db")
	require.NoError(s.t, s.Configpin.StartVersioner(s.t.Context()))
	s.numbered("secret/db", 3)
	s.types("history secret/db")
	s.types("status --check")
	s.types("undo deployment/web --to secret/db=1")
	s.rolledOut("web")
	s.types("status --check")
	s.types("resume deployment/web")
	s.rolledOut("web")
	s.types("status --check")
}

// leftOut is a namespace that the webhook isn't called for.
func leftOut(s *shell) {
	s.apply(app + deployment("one", enabled, "configmap/app") + deployment("two", enabled, "configmap/app"))
	s.rolledOut("one")
	s.rolledOut("two")
	s.numbered("configmap/app", 1)
	s.do(`kubectl patch mutatingwebhookconfiguration zz-configpin --type=json -p '[{"op": "add", "path": "/webhooks/0/namespaceSelector/matchExpressions/0/values/-", "value": "` + s.namespace + `"}]'`)
	s.until("app", "kubectl create -o jsonpath='{.spec.template.spec.containers[0].envFrom[0].configMapRef.name}' --dry-run=server -f - <<'EOF'\n"+deployment("web", enabled, "configmap/app")+"\nEOF")
	s.apply(deployment("web", enabled, "configmap/app"))
	s.do("kubectl create role developer --verb=get,list --resource=configmaps,deployments.apps && kubectl create rolebinding developer --role=developer --user=developer")
	s.types("status")
	s.types("explain deployment/web")
	s.types("check | grep -A1 answers")
	s.types("status --as=developer 2>&1 | grep -v 'you may not read namespaces'")
	s.types("undo deployment/one --to configmap/app=1")
	s.types("adopt -n " + s.namespace + " --every=0s --yes")
	s.remark("the source goes, and what is pinned has to stay")
	s.do("kubectl delete configmap app")
	s.types("unpin deployment/one")
	s.types("status")
	s.remark("the snapshot goes as well")
	s.do("kubectl delete configmap app-cv5soq861iv1 --as=admin --as-group=configpin:admins --as-group=system:masters")
	s.types("status --check")
	s.types("status deployment/two --check")
	s.do("kubectl delete deployment web one two")
}

// someNamespaces are the only ones that are served, as the versioner's Deployment says. It
// comes last: nobody puts that back.
func someNamespaces(s *shell) {
	s.do("kubectl create namespace elsewhere")
	s.do(`kubectl patch -n configpin-system deployment configpin-versioner --type=json -p '[{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--namespaces=elsewhere"}]'`)
	s.apply(app + deployment("web", enabled, "configmap/app"))
	s.types("status")
	s.types("explain deployment/web")
	s.types("check -n elsewhere | grep -A1 rights")
}
