package plugin

import "github.com/stretchr/testify/require"

type scene struct {
	name string
	play func(*shell)
}

// alone are scenes in which something of configpin is away, one after another.
var alone = []scene{
	{"no-webhook", noWebhook},
	{"check", check},
}

func check(s *shell) {
	s.do("kubectl rollout status -n configpin-system deployment/configpin-webhook deployment/configpin-versioner --timeout=60s")
	s.types("check")
	s.types("check -o json | head -20")
	s.types("check -n kube-system")
	s.types("check --as=nobody")

	s.remark("a policy, a right and the versioner are gone; and a webhook comes after ours")
	s.do("kubectl delete validatingadmissionpolicybinding configpin-snapshots")
	s.do("kubectl delete clusterrolebinding configpin-webhook")
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
	s.types("check")
	s.do("kubectl delete mutatingwebhookconfiguration zzz-rival")
	s.do("kubectl delete mutatingwebhookconfiguration zz-configpin")
	s.types("check")
	s.types("check --configpin-namespace=elsewhere")
}

func noWebhook(s *shell) {
	s.apply(app + deployment("web", enabled, "configmap/app"))
	s.rolledOut("web")
	s.numbered("configmap/app", 1)
	s.edit("app", "colour", "green", "spring")
	s.numbered("configmap/app", 2)
	s.current("deployment/web")
	s.rolledOut("web")
	require.NoError(s.t, s.configpin.StopWebhook())
	s.types("undo deployment/web --to configmap/app=1")
	s.types("status")
	s.types("resume deployment/web")
	s.types("check | grep -A1 answers")
	s.edit("app", "colour", "red", "autumn")
	s.numbered("configmap/app", 3)
	s.types("status --check")
	s.types("adopt -n " + s.namespace)
	s.types("unpin deployment/web")
	s.types("status")
	require.NoError(s.t, s.configpin.StartWebhook(s.t.Context()))
}
