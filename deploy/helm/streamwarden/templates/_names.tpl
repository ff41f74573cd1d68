{{/* The name of each object of the release. */}}
{{- define "streamwarden.fullname" -}}
{{- $name := .Release.Name -}}
{{- if not (contains .Chart.Name $name) -}}
{{- $name = printf "%s-%s" $name .Chart.Name -}}
{{- end -}}
{{ .Values.fullnameOverride | default $name | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* The labels by which the release's own Pods are known. They never change: selectors are immutable. */}}
{{- define "streamwarden.selectorLabels" -}}
app.kubernetes.io/name: streamwarden
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "streamwarden.labels" -}}
{{ include "streamwarden.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "streamwarden.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end -}}

{{- define "streamwarden.configMapName" -}}
{{ .Values.existingConfigMap | default (include "streamwarden.fullname" .) }}
{{- end -}}

{{- define "streamwarden.redisSecretName" -}}
{{- if .Values.redis.uri -}}
{{ include "streamwarden.fullname" . }}-redis
{{- else -}}
{{ .Values.redis.existingSecret | default "streamwarden-redis" }}
{{- end -}}
{{- end -}}

{{/* The port that the configuration says, or the default. */}}
{{- define "streamwarden.port" -}}
{{- $listen := dig "http" "listen" "" (.Values.config | default dict) -}}
{{- $listen | regexFind "[0-9]+$" | default "19121" -}}
{{- end -}}
