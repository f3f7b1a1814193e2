{{/* What each program may in what it serves: everywhere, or in each namespace that is served. */}}

{{- define "configpin.webhookRules" -}}
# get: read the sources that a workload refers to, and its snapshots.
# create: make a snapshot before it is named.
# patch: take off the mark of the garbage collector.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create, patch]
# list: tell an undo of a workload that is behind from a new template.
- apiGroups: [apps]
  resources: [replicasets, controllerrevisions]
  verbs: [list]
{{- end -}}

{{- define "configpin.webhookSecretRules" -}}
# get: read the sources that a workload refers to, and its snapshots.
# create: make a snapshot before it is named.
# patch: take off the mark of the garbage collector.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch]
{{- end -}}

{{- define "configpin.versionerRules" -}}
# list, watch: learn, from metadata, which sources and snapshots there are.
# get: read a source that changed.
# create: make its snapshot.
# patch: number it; mark one that nothing names, and take the mark off.
# delete: collect one that was marked for long enough.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [list, watch, get, create, patch, delete]
{{- if .Values.namespaces }}
# get: learn whether this namespace opts in. A Role may let somebody read the
# namespace that it is in.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
{{- else }}
# list, watch: learn which namespaces opt in.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
{{- end }}
# list, watch: learn what opted-in workloads refer to.
# patch: send them through admission by an empty patch.
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [list, watch, patch]
# Likewise.
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [list, watch, patch]
# list: learn what names a snapshot, before one is deleted.
- apiGroups: [apps]
  resources: [replicasets, controllerrevisions]
  verbs: [list]
# Likewise.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list]
# Likewise.
- apiGroups: [""]
  resources: [pods, podtemplates, replicationcontrollers]
  verbs: [list]
{{- range .Values.versioner.gc.referenceKinds }}
# Likewise.
- apiGroups: [{{ index (splitList "/" .) 0 | quote }}]
  resources: [{{ index (splitList "/" .) 2 | quote }}]
  verbs: [list]
{{- end }}
# create, patch: say what happened, and count it when it happens again.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{- define "configpin.versionerSecretRules" -}}
# list, watch: learn, from metadata, which sources and snapshots there are.
# get: read a source that changed.
# create: make its snapshot.
# patch: number it; mark one that nothing names, and take the mark off.
# delete: collect one that was marked for long enough.
- apiGroups: [""]
  resources: [secrets]
  verbs: [list, watch, get, create, patch, delete]
{{- end -}}

{{/* What the versioner may where it issues the certificate: in the release's namespace, and in the cluster. */}}
{{- define "configpin.certificateRules" -}}
# list, watch: notice that the certificate isn't there, or has to be replaced. Of all
# Secrets in this namespace, as cert-controller watches them.
- apiGroups: [""]
  resources: [secrets]
  verbs: [list, watch]
# update: issue it.
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [{{ include "configpin.certificateSecret" . }}]
  verbs: [update]
{{- end -}}

{{- define "configpin.authorityRules" -}}
# list, watch: notice that the webhook configuration names another authority.
- apiGroups: [admissionregistration.k8s.io]
  resources: [mutatingwebhookconfigurations]
  verbs: [list, watch]
# update: write the authority into it.
- apiGroups: [admissionregistration.k8s.io]
  resources: [mutatingwebhookconfigurations]
  resourceNames: [zz-configpin]
  verbs: [update]
{{- end -}}

{{/* A role, and whom it is given. Its name is that of the program, with a suffix. */}}
{{- define "configpin.grant" -}}
{{- $kind := ternary "Role" "ClusterRole" (hasKey . "namespace") -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ .program }}{{ .suffix }}
  {{- with .namespace }}
  namespace: {{ quote . }}
  {{- end }}
  labels:
    {{- include "configpin.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
rules:
  {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ .program }}{{ .suffix }}
  {{- with .namespace }}
  namespace: {{ quote . }}
  {{- end }}
  labels:
    {{- include "configpin.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ .program }}{{ .suffix }}
subjects:
  - kind: ServiceAccount
    name: {{ .program }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}

{{/* The same everywhere, or in each of some namespaces. */}}
{{- define "configpin.grants" -}}
{{- $all := . -}}
{{- range $i, $namespace := .namespaces }}
{{- if $i }}
---
{{ end }}
{{- include "configpin.grant" (merge (dict "namespace" $namespace) $all) }}
{{- else }}
{{- include "configpin.grant" . }}
{{- end }}
{{- end -}}

{{/* What the versioner may in the release's own namespace. */}}
{{- define "configpin.versionerOwnRules" -}}
# Take turns with other replicas.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, update]
# Say who leads: client-go's leader election writes events of the old API, each of
# them once.
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}

{{/* The key by which the digests of Secrets are made. */}}
{{- define "configpin.webhookKeyRules" -}}
# list, watch: have the key, and learn when it is another one.
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [configpin-digest-key]
  verbs: [list, watch]
{{- end -}}

{{- define "configpin.versionerKeyRules" -}}
# list, watch: have the key, and learn when it is another one.
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [configpin-digest-key]
  verbs: [list, watch]
# create: make it where there is none. What is created has no name yet that a rule
# could be about; the policy configpin-ourselves is.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
{{- end -}}
