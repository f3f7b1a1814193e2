package plugin

import "strings"

// asAdmin is who may delete snapshots.
const asAdmin = " --as=admin --as-group=configpin:admins --as-group=system:masters"

// seldom are states and requests that few people meet.
func seldom(s *shell) {
	s.begun()
	s.types("undo deployment/web")
	s.types("history configmap/app-cv5soq861iv1")
	s.do("kubectl create configmap plain --from-literal=a=b")
	s.types("diff configmap/plain")
	s.types("purge configmap/app --revision 1 --grace=-1s")

	s.remark("a Job that a CronJob made, and a Deployment that is going")
	s.do("kubectl create cronjob report --schedule='0 0 1 1 *' --image=example.com/app:1 && kubectl create job made --from=cronjob/report")
	s.types("explain job/made")
	s.apply(deployment("other", "app: other", "configmap/app"))
	s.do(`kubectl patch deployment other --type=merge -p '{"metadata": {"finalizers": ["example.com/wait"]}}' && kubectl delete deployment other --wait=false`)
	s.types("explain deployment/other")
	s.do(`kubectl patch deployment other --type=merge -p '{"metadata": {"finalizers": []}}'`)

	s.remark("a source that others write, and workloads that don't follow it")
	s.apply(deployment("manual", enabled+", configpin.io/rollout: manual", "configmap/app") + deployment("plain", "app: plain", "configmap/app"))
	s.revised("green", "spring", 2)
	s.apply(deployment("manual", enabled+", configpin.io/rollout: manual, again: deployed", "configmap/app"))
	s.edit("app", "colour", "red", "autumn")
	s.numbered("configmap/app", 3)
	s.current("deployment/web")
	s.rolledOut("web")
	s.do("kubectl annotate configmap app argocd.argoproj.io/tracking-id=shop:/ConfigMap:shop/app")
	s.types("restore configmap/app --revision 2 --dry-run=client")
	s.apply(strings.Replace(app, "name: app", "name: lonely", 1))
	s.numbered("configmap/lonely", 1)
	s.edit("lonely", "colour", "green", "spring")
	s.numbered("configmap/lonely", 2)
	s.types("restore configmap/lonely --revision 1 --dry-run=client")

	s.remark("a developer may read some of that, and a reader what is named alone")
	s.do("kubectl create role developer --verb=get,list --resource=configmaps,deployments.apps && kubectl create rolebinding developer --role=developer --user=developer")
	s.do("kubectl create role reader --verb=get --resource=configmaps,deployments.apps && kubectl create rolebinding reader --role=reader --user=reader")
	s.types("restore configmap/lonely --revision 1 --dry-run=client --as=developer")
	s.types("purge configmap/lonely --revision 1 --yes --as=developer --reference-kinds=")
	s.types("status deployment/plain --as=reader")
	s.types("status deployment/web --as=reader")

	s.remark("the snapshot of a hold is replaced by something else of its name")
	s.do("kubectl configpin undo deployment/web --to configmap/app=1")
	s.rolledOut("web")
	s.do("kubectl delete configmap app-cv5soq861iv1" + asAdmin + " && kubectl create configmap app-cv5soq861iv1 --from-literal=a=b")
	s.types("status deployment/web")
	s.do("kubectl delete deployment web manual plain") // or check would tell of them
}

// pretended is an installation that isn't there: the parts of it that check looks at, in
// states in which ours never is.
func pretended(s *shell) {
	const look = "check --configpin-namespace=pretended -n pretended"
	const certificate = "| grep -A1 'webhook certificate'"
	s.begun()
	s.do("kubectl create namespace pretended")
	s.apply(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: webhook, namespace: pretended, labels: {app.kubernetes.io/part-of: configpin, app.kubernetes.io/component: webhook}}
spec:
  selector: {matchLabels: {app: webhook}}
  template:
    metadata: {labels: {app: webhook}}
    spec: {containers: [{name: webhook, image: example.com/app:1}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: versioner, namespace: pretended, labels: {app.kubernetes.io/part-of: configpin, app.kubernetes.io/component: versioner}}
spec:
  selector: {matchLabels: {app: versioner}}
  template:
    metadata: {labels: {app: versioner}}
    spec: {containers: [{name: versioner, image: example.com/app:1}]}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: configpin-versioner, namespace: pretended}
spec: {leaseDurationSeconds: 15}
`)
	s.do("kubectl rollout status -n pretended deployment/webhook deployment/versioner --timeout=60s")
	s.types(look + " | grep -A1 -e 'webhook certificate' -e leads -e rights")
	s.do(`kubectl patch lease -n pretended configpin-versioner --type=merge -p '{"spec": {"holderIdentity": "versioner-1", "renewTime": "2026-01-01T00:00:00.000000Z"}}'`)
	s.types(look + " | grep -A1 leads")

	s.remark("the certificate is in a Secret: one that not everybody may read, and that holds none")
	s.do(`kubectl patch deployment -n pretended webhook --type=merge -p '{"spec": {"template": {"spec": {"volumes": [{"name": "certificate", "secret": {"secretName": "shown"}}]}}}}'`)
	s.do("kubectl create secret generic -n pretended shown --from-literal=tls.crt=none")
	s.do("kubectl create role developer -n pretended --verb=get,list --resource=deployments.apps && kubectl create rolebinding developer -n pretended --role=developer --user=developer")
	s.types(look + " --as=developer " + certificate)
	s.types(look + " " + certificate)

	s.remark("cert-manager has not issued it yet, and not again")
	s.apply(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: certificates.cert-manager.io}
spec:
  group: cert-manager.io
  scope: Namespaced
  names: {kind: Certificate, plural: certificates}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
`)
	s.do("kubectl wait --for=condition=Established crd/certificates.cert-manager.io --timeout=60s")
	issued := "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: shown, namespace: pretended}\nspec: {secretName: shown}\n"
	s.apply(issued)
	s.types(look + " " + certificate)
	s.apply(issued + "status: {notAfter: \"2026-01-01T00:00:00Z\"}\n")
	s.types(look + " " + certificate)
	s.do("kubectl delete crd certificates.cert-manager.io")
	s.do("kubectl delete namespace pretended --wait=false")

	s.remark("nobody is trusted to be the webhook, and what is written meanwhile isn't pinned; and a snapshot is gone")
	trusted := strings.TrimSpace(s.do("kubectl get mutatingwebhookconfiguration zz-configpin -o jsonpath='{.webhooks[*].clientConfig.caBundle}'"))
	trusted, _, _ = strings.Cut(trusted, " ")
	everyone := func(operation string) {
		var patches []string
		for _, i := range []string{"0", "1"} {
			patches = append(patches, strings.ReplaceAll(operation, "INDEX", i))
		}
		s.do("kubectl patch mutatingwebhookconfiguration zz-configpin --type=json -p '[" + strings.Join(patches, ",") + "]'")
	}
	s.revised("green", "spring", 2)
	s.do("kubectl configpin undo deployment/web --to configmap/app=1")
	s.rolledOut("web")
	s.do("kubectl delete configmap app-cv5soq861iv1" + asAdmin)
	everyone(`{"op": "remove", "path": "/webhooks/INDEX/clientConfig/caBundle"}`)
	s.until("app", "kubectl create -o jsonpath='{.spec.template.spec.containers[0].envFrom[0].configMapRef.name}' --dry-run=server -f - <<'EOF'\n"+deployment("late", enabled, "configmap/app")+"\nEOF")
	s.apply(deployment("late", enabled, "configmap/app"))
	s.types("check | grep -A1 'webhook configuration'")
	s.types("check | grep -A1 -e 'stale pins' -e 'dangling pins'")
	s.do("kubectl create clusterrole lister --verb=list --resource=deployments.apps && kubectl create clusterrolebinding lister --clusterrole=lister --user=lister")
	s.do("kubectl delete deployment late web")
	s.types("check --as=lister | grep -e 'stale pins' -e 'dangling pins'")
	everyone(`{"op": "add", "path": "/webhooks/INDEX/clientConfig/caBundle", "value": "` + trusted + `"}`)
	s.do("kubectl delete clusterrolebinding lister && kubectl delete clusterrole lister")
}
