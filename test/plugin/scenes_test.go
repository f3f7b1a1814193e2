package plugin

import (
	"fmt"
	"strings"
)

// together are scenes that leave configpin alone, each in a namespace of its own.
var together = map[string]func(*shell){
	"story":        story,
	"wrong-input":  wrongInput,
	"secrets":      secrets,
	"rights":       rights,
	"unseen":       unseen,
	"restored":     restored,
	"adopt":        adoptAndUnpin,
	"tree":         tree,
	"contents":     contents,
	"forms":        forms,
	"states":       states,
	"several-refs": severalRefs,
	"kinds":        kinds,
	"watch":        watch,
	"seldom":       seldom,
	"picture":      picture,
}

const app = `
apiVersion: v1
kind: ConfigMap
metadata:
  name: app
  annotations: {configpin.io/versioned: "true", kubernetes.io/change-cause: the first}
data:
  colour: blue
  motto: |
    Keep calm
    and carry on
`

// deployment refers to sources by envFrom.
func deployment(name string, labels string, refs ...string) string {
	var from strings.Builder
	for _, ref := range refs {
		kind, name, _ := strings.Cut(ref, "/")
		field := map[string]string{"configmap": "configMapRef", "secret": "secretRef"}[kind]
		fmt.Fprintf(&from, "            - {%s: {name: %s}}\n", field, name)
	}
	return fmt.Sprintf(`---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: %[1]s
  labels: {%[2]s}
spec:
  replicas: 2
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      containers:
        - name: app
          image: example.com/app:1
          envFrom:
%[3]s`, name, labels, from.String())
}

const enabled = `configpin.io/enabled: "true"`

// edit changes a key of a ConfigMap.
func (s *shell) edit(name, key, value, cause string) {
	s.t.Helper()
	s.do(fmt.Sprintf(`kubectl patch configmap %s --type=merge -p '{"metadata": {"annotations": {"kubernetes.io/change-cause": "%s"}}, "data": {"%s": "%s"}}'`, name, cause, key, value))
}

// numbered waits until the versioner has numbered a content of a source.
func (s *shell) numbered(source string, count int) {
	s.t.Helper()
	s.until(fmt.Sprint(count), "kubectl configpin history "+source+" -o json | grep -c '\"revision\": [1-9]'")
}

func (s *shell) current(workload string) {
	s.t.Helper()
	s.until("0", "kubectl configpin status "+workload+" --check >/dev/null; echo $?")
}

// begun has a Deployment web pinned to revision 1 of app, and rolled out.
func (s *shell) begun() {
	s.t.Helper()
	s.apply(app + deployment("web", enabled, "configmap/app"))
	s.rolledOut("web")
	s.numbered("configmap/app", 1)
}

// revised has it pinned to another content of app, and rolled out.
func (s *shell) revised(colour, cause string, revision int) {
	s.t.Helper()
	s.edit("app", "colour", colour, cause)
	s.numbered("configmap/app", revision)
	s.current("deployment/web")
	s.rolledOut("web")
}

func story(s *shell) {
	s.begun()
	s.revised("green", "spring", 2)
	s.revised("red", "autumn", 3)

	s.types("history configmap/app")
	s.types("diff configmap/app")
	s.types("diff cm/app --from 1 --to 2 --exit-code")
	s.types("diff configmap app --from live --to 3 --exit-code")
	s.types("status")
	s.types("explain deployment/web")

	s.remark("back to green, for web alone")
	s.types("undo deployment/web --to configmap/app=2 --dry-run=client")
	s.types("undo deployment/web --to configmap/app=2 --dry-run=server")
	s.types("status deployment/web --check")
	s.types("undo deploy/web --to configmap/app=2")
	s.rolledOut("web")
	s.types("status")
	s.types("status --check -o wide")
	s.types("explain deployment/web")
	s.types("history configmap/app")
	s.types("undo deploy/web --to configmap/app=2")
	s.types("undo deploy/web")
	s.rolledOut("web")
	s.types("resume deployment/web --dry-run=client")
	s.types("resume deployment/web --dry-run=server")
	s.types("resume deployment/web")
	s.rolledOut("web")
	s.types("resume deployment/web")
	s.types("status")

	s.remark("back to blue, for everybody; one of them is there already")
	s.apply(deployment("other", enabled, "configmap/app"))
	s.rolledOut("other")
	s.do("kubectl configpin undo deployment/other --to configmap/app=1")
	s.rolledOut("other")
	s.types("restore configmap/app --revision 1 --dry-run=server")
	s.types("restore configmap/app --revision 1")
	s.answers("restore configmap/app --revision 1 --yes", "")
	s.until("4", "kubectl configpin history configmap/app -o json | grep -o '\"revision\": 4' | grep -o 4")
	s.current("deployment/web")
	s.rolledOut("web")
	s.types("history configmap/app")
	s.types("restore configmap/app --revision 4 --yes")
	s.types("restore configmap/app --revision 9 --yes")
}

func wrongInput(s *shell) {
	s.apply(app + "---" + strings.Replace(app, "name: app", "name: plain", 1) + deployment("web", "app: web", "configmap/plain"))
	s.do("kubectl annotate configmap plain configpin.io/versioned-")
	s.numbered("configmap/app", 1)
	for _, line := range []string{
		"nonesuch",
		"histori",
		"history",
		"history app",
		"history deployment/web",
		"history configmap/app configmap/other",
		"history configmap/nonesuch",
		"history configmap/Not_A_Name",
		"history configmap/plain",
		"history configmap/app -o xml",
		"history configmap/app -n nonesuch",
		"diff configmap/app",
		"diff configmap/app --from 7",
		"diff configmap/app --from nonesuch",
		"diff configmap/plain",
		"diff secret/nonesuch",
		"status web",
		"status pod/web",
		"status deployment/nonesuch",
		"status deployment/web",
		"status deployment/web -A",
		"status -A -n other",
		"explain",
		"explain deployment/web",
		"explain deployment/web deployment/other",
		"undo",
		"undo deployment/web",
		"undo deployment/nonesuch --to configmap/app=1",
		"undo deployment/web --to app=1",
		"undo deployment/web --to configmap/app",
		"undo deployment/web --to configmap/app=live",
		"resume job/web",
		"check -o name",
		"status --watch --check",
		"undo deployment/web --dry-run=perhaps",
		"undo job/web --to configmap/app=1",
		"resume deployment/web",
		"restore configmap/app",
		"restore configmap/app --revision 1 --yes",
		"adopt",
		"adopt --every=-1m -n nonesuch",
		"unpin",
		"unpin deployment/web --all",
		"unpin --all",
		"unpin deployment/nonesuch",
		"purge configmap/app",
		"purge configmap/app --revision 1 --yes",
		"tree nonesuch/app",
		"check --output=name extra",
		"status --kubeconfig=/nonesuch",
		"status --server=https://127.0.0.1:1",
	} {
		s.types(line)
	}
}

const db = `
apiVersion: v1
kind: Secret
metadata:
  name: db
  annotations: {configpin.io/versioned: "true"}
stringData: {password: hunter2, user: app}
`

func secrets(s *shell) {
	s.apply(db + deployment("web", enabled, "secret/db"))
	s.rolledOut("web")
	s.numbered("secret/db", 1)
	for i, password := range []string{"correct horse", "battery staple"} {
		s.do(`kubectl patch secret db --type=merge -p '{"stringData": {"password": "` + password + `"}}'`)
		s.numbered("secret/db", i+2)
		s.current("deployment/web")
		s.rolledOut("web")
	}
	s.types("history secret/db")
	s.types("diff secret/db")
	s.types("diff secret/db --from 1 --show-secrets")
	s.types("status")
	s.types("undo deployment/web --to secret/db=2")
	s.rolledOut("web")

	s.remark("a password leaked; nobody but admins may delete its snapshot, and nobody while something can go back to it")
	s.types("purge secret/db --revision 3 --yes --grace=0s")
	s.types("purge secret/db --revision 1 --yes --grace=0s")
	s.do("kubectl patch deployment web --type=merge -p '{\"spec\": {\"revisionHistoryLimit\": 0}}'")
	s.until("1", "kubectl get replicasets -l app=web --no-headers | wc -l")
	s.types("purge secret/db --revision 1 --yes --grace=0s")
	s.types("purge secret/db --revision 1 --grace=0s --as=admin --as-group=configpin:admins --as-group=system:masters")
	s.types("purge secret/db --revision 1 --yes --grace=1s --as=admin --as-group=configpin:admins --as-group=system:masters")
	s.types("history secret/db")
}

// rights has somebody look who may read some things and not others.
func rights(s *shell) {
	s.apply(app + "---" + db + deployment("web", enabled, "configmap/app", "secret/db"))
	s.rolledOut("web")
	s.numbered("configmap/app", 1)
	s.numbered("secret/db", 1)
	s.apply(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: developer}
rules:
  - {apiGroups: [""], resources: [configmaps], verbs: [get, list]}
  - {apiGroups: [apps], resources: [deployments], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: developer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: developer}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: developer}]
`)
	s.remark("a developer may read ConfigMaps and Deployments of this namespace, and nothing else")
	s.types("status deployment/web --as=developer")
	s.types("status --as=developer --check")
	s.types("status -A --as=developer")
	s.types("history configmap/app --as=developer")
	s.types("history secret/db --as=developer")
	s.types("explain deployment/web --as=developer")
	s.types("purge configmap/app --revision 1 --yes --as=developer")
	s.types("purge configmap/app --revision 1 --yes --as=developer --reference-kinds=")
	s.types("unpin deployment/web --as=developer")
	s.types("adopt -n " + s.namespace + " --as=developer")
	s.remark("nobody at all")
	s.types("status --as=nobody")
	s.types("history configmap/app --as=nobody")
}

// unseen has somebody act who may patch Deployments, and read no sources.
func unseen(s *shell) {
	s.begun()
	s.revised("green", "spring", 2)
	s.apply(deployment("plain", "app: plain", "configmap/app") + `---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: operator}
rules: [{apiGroups: [apps], resources: [deployments], verbs: [get, list, patch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: operator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: operator}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: operator}]
`)
	s.types("status deployment/web --check --as=operator")
	s.types("undo deployment/web --as=operator")
	s.types("undo deployment/web --to configmap/app=1 --as=operator")
	s.types("undo deployment/web --to configmap/app=app-0123456789ab --as=operator")
	s.types("undo deployment/web --to configmap/app=plain-0123456789ab --dry-run=server --as=operator")
	s.types("undo deployment/web --to configmap/app=app-cv5soq861iv1 --dry-run=client --as=operator")
	s.types("undo deployment/web --to configmap/app=app-cv5soq861iv1 --as=operator")
	s.rolledOut("web")
	s.types("status deployment/web")
	s.types("undo deployment/plain --to configmap/app=app-cv5soq861iv1 --dry-run=server --as=operator")
	s.types("resume deployment/web --dry-run=client --as=operator")
	s.types("resume deployment/web --dry-run=server --as=operator")
	s.types("resume deployment/web --as=operator")
	s.rolledOut("web")
	s.types("resume deployment/web --as=operator")
	s.types("status deployment/web")
	s.types("adopt -n " + s.namespace + " --every=0s --yes --dry-run=client --as=operator")
	s.types("adopt -n " + s.namespace + " --every=0s --yes --as=operator")
	s.do("kubectl label namespace " + s.namespace + " configpin.io/enabled=true")
	s.types("adopt -n " + s.namespace + " --every=0s --yes --as=operator")
	s.types("restore configmap/app --revision 1 --yes --as=operator")
	s.types("purge configmap/app --revision 1 --yes --reference-kinds= --as=operator")
	s.types("unpin deployment/web --dry-run=client --as=operator")
	s.types("unpin deployment/web --dry-run=server --as=operator")
	s.types("unpin deployment/web --as=operator")
	s.types("status deployment/web")
	s.remark("the source goes")
	s.do("kubectl delete configmap app")
	s.types("unpin deployment/plain --as=operator")
	s.types("check --as=operator | tail -1")
}

// restored has sources come back that were deleted.
func restored(s *shell) {
	s.apply(db)
	s.begun()
	s.revised("green", "spring", 2)
	s.numbered("secret/db", 1)
	s.do("kubectl create role developer --verb=get,list,patch --resource=configmaps,deployments.apps && kubectl create rolebinding developer --role=developer --user=developer")
	s.do("kubectl configpin undo deployment/web --to configmap/app=1")
	s.rolledOut("web")
	s.do("kubectl delete configmap/app secret/db")
	s.types("resume deployment/web --dry-run=client")
	s.types("resume deployment/web")
	s.types("resume deployment/web")
	s.types("restore configmap/app --revision 7")
	s.types("restore configmap/app --revision 2 --dry-run=client")
	s.types("restore configmap/app --revision 2 --dry-run=server")
	s.types("restore configmap/app --revision 2")
	s.types("restore configmap/app --revision 2 --yes --as=developer 2>&1 | grep error")
	s.types("restore configmap/app --revision 2 --yes")
	s.do("kubectl get configmap app -o jsonpath={.metadata.annotations} | grep -F '{\"configpin.io/versioned\":\"true\",\"kubernetes.io/change-cause\":\"spring\"}'")
	s.numbered("configmap/app", 2)
	s.current("deployment/web")
	s.rolledOut("web")
	s.types("history configmap/app")
	s.types("restore secret/db --revision 1 --yes")
	s.apply(`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "empty", "annotations": {"configpin.io/versioned": "true"}}}`)
	s.numbered("configmap/empty", 1)
	s.do("kubectl delete configmap empty")
	s.types("restore configmap/empty --revision 1 --yes")
	s.types("status")

	s.remark("a Secret comes back as one of another type")
	s.do("kubectl delete secret db")
	s.apply(strings.Replace(db, "stringData:", "type: example.com/login\nstringData:", 1))
	s.numbered("secret/db", 2)
	s.types("history secret/db")
	s.types("diff secret/db --exit-code")
	s.types("restore secret/db --revision 1 --yes")
}

func adoptAndUnpin(s *shell) {
	s.apply(app + deployment("one", "app: one", "configmap/app") + deployment("two", "app: two", "configmap/app") + deployment("three", `configpin.io/enabled: "false"`, "configmap/app"))
	s.numbered("configmap/app", 1)
	s.types("status")
	s.types("adopt -n " + s.namespace)
	s.do("kubectl label namespace " + s.namespace + " configpin.io/enabled=true")
	s.types("status")
	s.types("adopt -n " + s.namespace + " --dry-run=client --every=0s")
	s.types("adopt -n " + s.namespace + " --dry-run=server --every=0s")
	s.types("adopt -n " + s.namespace + " --every=0s")
	s.types("adopt -n " + s.namespace + " --every=0s --yes")
	s.rolledOut("one")
	s.rolledOut("two")
	s.types("adopt -n " + s.namespace + " --every=0s --yes")
	s.types("status")
	s.types("unpin deployment/one --dry-run=client")
	s.types("unpin deployment/one --dry-run=server")
	s.types("unpin deployment/one")
	s.types("status")
	s.types("unpin --all -n " + s.namespace + " --every=0s --yes")
	s.types("status")
}

func tree(s *shell) {
	s.apply(app + deployment("web", enabled, "configmap/app") + deployment("plain", "app: plain", "configmap/app"))
	s.rolledOut("web")
	s.numbered("configmap/app", 1)
	s.revised("green", "spring", 2)
	s.types("tree configmap/app")
	s.types("tree configmap/app -o name")
}

// contents are those that aren't lines of text.
func contents(s *shell) {
	s.apply(`
apiVersion: v1
kind: ConfigMap
metadata:
  name: app
  annotations: {configpin.io/versioned: "true"}
data:
  escape: "\u001b[31mred"
  gone: soon
  unended: no newline
  windows: "a\nb\n"
binaryData:
  logo: AAEC
`)
	s.numbered("configmap/app", 1)
	s.do(`kubectl patch configmap app --type=merge -p '{"data": {"escape": "plain", "gone": null, "new": "a\nb\n", "unended": "still none", "windows": "a\r\nb\r\n"}, "binaryData": {"logo": "AAECAw=="}}'`)
	s.numbered("configmap/app", 2)
	s.types("diff configmap/app")
	s.types("history configmap/app -o wide")

	s.remark("the same bytes move, and text gets what leaves no ink")
	s.do(`kubectl patch configmap app --type=merge -p '{"data": {"unended": null}, "binaryData": {"unended": "c3RpbGwgbm9uZQ=="}}'`)
	s.numbered("configmap/app", 3)
	s.types("diff configmap/app --exit-code")
	s.types("restore configmap/app --revision 2 --dry-run=server")
	s.do(`kubectl patch configmap app --type=merge -p '{"metadata": {"annotations": {"kubernetes.io/change-cause": "fix\u202e\u001b[31m\nmore"}}, "data": {"new": "a\nb \n", "windows": "\ufeffa\u00a0\u200b\u202e<U+00A0>\n"}}'`)
	s.numbered("configmap/app", 4)
	s.types("diff configmap/app")
	s.types("history configmap/app")
	s.types("history configmap/app -o json | grep changeCause")
}

// forms are those that programs read.
func forms(s *shell) {
	s.begun()
	s.types("history configmap/app -o json")
	s.types("history configmap/app -o yaml")
	s.types("history configmap/app -o name")
	s.types("history configmap/app --no-headers")
	s.types("status -o json")
	s.types("status -o name")
	s.types("explain deployment/web -o yaml")
	s.types("tree configmap/app -o json")
	s.types("__complete history configmap/ 2>/dev/null")
	s.types("__complete status dep 2>/dev/null")
	s.types("__complete status deployment/ 2>/dev/null")
	s.types("--help")
	s.types("undo --help | sed -n 1,30p")
}

// states are those that a workload seldom has.
func states(s *shell) {
	s.apply(app + "---" + strings.NewReplacer("name: app", "name: typo", `"true"`, `"yes"`).Replace(app) +
		deployment("manual", enabled+`, configpin.io/rollout: manual`, "configmap/app") +
		deployment("typo", enabled, "configmap/typo") +
		deployment("nothing", enabled, "configmap/nonesuch") +
		deployment("label", `configpin.io/enabled: "yes"`, "configmap/app") +
		strings.Replace(deployment("optional", enabled, "configmap/nonesuch"), "name: nonesuch}", "name: nonesuch, optional: true}", 1) +
		deployment("bare", enabled))
	s.numbered("configmap/app", 1)
	s.rolledOut("manual")
	s.edit("app", "colour", "green", "spring")
	s.numbered("configmap/app", 2)
	s.types("status --check")
	s.types("status deployment/label")
	s.remark("a write of the whole source loses the annotation")
	s.do("kubectl annotate configmap app configpin.io/versioned-")
	s.types("status deployment/manual --check")
	s.do("kubectl annotate configmap app configpin.io/versioned=true")
	s.types("explain deployment/manual")
	s.types("explain deployment/label")
	s.remark("the source goes")
	s.do("kubectl delete configmap app")
	s.types("status deployment/manual --check")
	s.types("history configmap/app")
	s.types("unpin deployment/manual")
	s.types("status deployment/manual --check")
}

func severalRefs(s *shell) {
	s.apply(app + "---" + strings.Replace(app, "name: app", "name: other", 1) + deployment("web", enabled, "configmap/app", "configmap/other"))
	s.rolledOut("web")
	s.numbered("configmap/app", 1)
	s.numbered("configmap/other", 1)
	s.edit("other", "colour", "green", "spring")
	s.numbered("configmap/other", 2)
	s.current("deployment/web")
	s.rolledOut("web")
	s.types("undo deployment/web")
	s.types("undo deployment/web --to configmap/third=1")
	s.types("undo deployment/web --to configmap/app=2")
	s.types("undo deployment/web --to configmap/other=1")
	s.types("status")
	s.types("explain deployment/web")
}

const otherKinds = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store, labels: {configpin.io/enabled: "true"}}
spec:
  replicas: 2
  serviceName: store
  selector: {matchLabels: {app: store}}
  template:
    metadata: {labels: {app: store}}
    spec:
      containers: [{name: app, image: example.com/app:1, envFrom: [{configMapRef: {name: app}}]}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, labels: {configpin.io/enabled: "true"}}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      containers: [{name: app, image: example.com/app:1, envFrom: [{configMapRef: {name: app}}]}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: once, labels: {configpin.io/enabled: "true"}}
spec:
  suspend: true
  template:
    spec:
      restartPolicy: Never
      containers: [{name: app, image: example.com/app:1, envFrom: [{configMapRef: {name: app}}]}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: report, labels: {configpin.io/enabled: "true"}}
spec:
  suspend: true
  schedule: 0 0 1 1 *
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{name: app, image: example.com/app:1, envFrom: [{configMapRef: {name: app}}]}]
`

// kinds are those beside Deployments.
func kinds(s *shell) {
	s.apply(app + "---" + otherKinds)
	rolled := func() {
		s.do("kubectl rollout status statefulset/store --timeout=60s && kubectl rollout status daemonset/agent --timeout=60s")
	}
	s.numbered("configmap/app", 1)
	rolled()
	s.edit("app", "colour", "green", "spring")
	s.numbered("configmap/app", 2)
	for _, workload := range []string{"statefulset/store", "daemonset/agent", "cronjob/report"} {
		s.current(workload)
	}
	rolled()
	s.types("status")
	s.types("history configmap/app")
	s.types("tree configmap/app")
	s.types("explain cronjob/report")
	s.types("explain job/once")
	s.types("undo statefulset/store --to configmap/app=1")
	s.types("undo ds/agent --to configmap/app=1")
	s.types("undo cj/report --to configmap/app=1")
	rolled()
	s.types("status")
	s.types("resume ds/agent")
	s.types("unpin cronjob/report job/once --yes --every=0s")
	s.types("status -o name")
}

// picture is the session of which a picture is made: its columns stay.
func picture(s *shell) {
	s.exact = true
	s.begun()
	s.revised("green", "spring", 2)
	s.types("history configmap/app")
	s.types("diff configmap/app")
	s.types("undo deployment/web --to configmap/app=1")
	s.rolledOut("web")
	s.types("status")
}
