{{- define "configpin.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 53 characters and "-versioner" are what the name of a Service, and a label's value, may have. */}}
{{- define "configpin.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- else if contains (include "configpin.name" .) .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "configpin.name" .) | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "configpin.webhook" -}}{{ include "configpin.fullname" . }}-webhook{{- end -}}
{{- define "configpin.versioner" -}}{{ include "configpin.fullname" . }}-versioner{{- end -}}

{{/* What a policy calls them. */}}
{{- define "configpin.webhookUser" -}}system:serviceaccount:{{ .Release.Namespace }}:{{ include "configpin.webhook" . }}{{- end -}}
{{- define "configpin.versionerUser" -}}system:serviceaccount:{{ .Release.Namespace }}:{{ include "configpin.versioner" . }}{{- end -}}

{{- define "configpin.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: configpin
app.kubernetes.io/name: {{ include "configpin.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "configpin.selector" -}}
app.kubernetes.io/name: {{ include "configpin.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "configpin.image" -}}
{{- with .root.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- .image.repository -}}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ default .root.Chart.AppVersion .root.Values.image.tag }}{{ end -}}
{{- end -}}

{{/* Namespaces that are never served. */}}
{{- define "configpin.excludedNamespaces" -}}
{{- concat (list "kube-system" "kube-public" "kube-node-lease" "cert-manager" .Release.Namespace) .Values.excludedNamespaces | uniq | join ", " -}}
{{- end -}}

{{/* Which namespaces are served, as a selector's expressions. */}}
{{- define "configpin.namespaceExpressions" -}}
- key: kubernetes.io/metadata.name
  operator: NotIn
  values: {{ splitList ", " (include "configpin.excludedNamespaces" .) | toJson }}
{{- with .Values.namespaces }}
- key: kubernetes.io/metadata.name
  operator: In
  values: {{ toJson . }}
{{- end }}
{{- end -}}

{{- define "configpin.servesSecrets" -}}
{{- if or .Values.secrets.enabled .Values.secrets.namespaces }}true{{ end -}}
{{- end -}}

{{/* The flags that both programs have. */}}
{{- define "configpin.commonArgs" -}}
- --health-address=:{{ .port }}
- --log-format={{ .root.Values.log.format }}
- -v={{ .root.Values.log.level }}
{{- with .root.Values.namespaces }}
- --namespaces={{ join "," . }}
{{- end }}
{{- if .root.Values.secrets.enabled }}
- --secrets
{{- end }}
{{- with .root.Values.secrets.namespaces }}
- --secrets-namespaces={{ join "," . }}
{{- end }}
{{- with .root.Values.hashAnnotations }}
- --hash-annotations={{ join "," . }}
{{- end }}
{{- end -}}

{{/* As the Pod Security Standard "restricted" asks. */}}
{{- define "configpin.podSecurityContext" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "configpin.containerSecurityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
{{- end -}}

{{- define "configpin.probes" -}}
livenessProbe:
  httpGet: {path: /healthz, port: health}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 5
  timeoutSeconds: 3
{{- end -}}

{{/* Everything that is said once, and wrong together. */}}
{{- define "configpin.check" -}}
{{- $c := .Values.certificates -}}
{{- if and $c.certManager.enabled $c.selfIssued.enabled -}}
{{- fail "certificates.certManager.enabled has to be false where certificates.selfIssued.enabled is true: one of them issues the certificate" -}}
{{- end -}}
{{- if and $c.selfIssued.enabled (or $c.secretName $c.caBundle) -}}
{{- fail "certificates.selfIssued.enabled makes the certificate and its authority: leave certificates.secretName and certificates.caBundle out" -}}
{{- end -}}
{{- if and $c.certManager.enabled $c.caBundle -}}
{{- fail "certificates.caBundle is for where certificates.certManager.enabled is false: cert-manager writes it" -}}
{{- end -}}
{{- $mine := not (or $c.certManager.enabled $c.selfIssued.enabled) -}}
{{- if and $mine (not $c.secretName) -}}
{{- fail "certificates.secretName has to be set where neither certificates.certManager.enabled nor certificates.selfIssued.enabled is true: the webhook needs a certificate" -}}
{{- end -}}
{{- if and $mine (not $c.caBundle) -}}
{{- fail "certificates.caBundle has to be set where neither certificates.certManager.enabled nor certificates.selfIssued.enabled is true: the API server has to know who signed the webhook's certificate" -}}
{{- end -}}
{{- if and .Values.secrets.enabled .Values.secrets.namespaces -}}
{{- fail "secrets.enabled serves the Secrets of all namespaces, secrets.namespaces those of some: set one of them" -}}
{{- end -}}
{{- range .Values.secrets.namespaces -}}
{{- if and $.Values.namespaces (not (has . $.Values.namespaces)) -}}
{{- fail (printf "secrets.namespaces has %s, which isn't served: add it to namespaces" .) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.webhook.callers.names (not .Values.webhook.callers.caSecret) -}}
{{- fail "webhook.callers.names says who of those with a certificate is answered: set webhook.callers.caSecret too, or anybody is" -}}
{{- end -}}
{{- range (concat .Values.namespaces .Values.secrets.namespaces | uniq) -}}
{{- if has . (splitList ", " (include "configpin.excludedNamespaces" $)) -}}
{{- fail (printf "namespaces or secrets.namespaces has %s, which is never served" .) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.webhook.hostNetwork (eq (int .Values.webhook.port) 10250) -}}
{{- fail "webhook.port has to be another than 10250 where webhook.hostNetwork is true: the kubelet of the node has it" -}}
{{- end -}}
{{- end -}}

{{/* The Secret of the webhook's certificate. */}}
{{- define "configpin.certificateSecret" -}}
{{- default (printf "%s-certificate" (include "configpin.webhook" .)) .Values.certificates.secretName -}}
{{- end -}}
