{{/*
The sidecar for Pods of another chart, which has this one as a dependency with `standalone.enabled: false`:

  template:
    metadata:
      labels:
        {{- include "streamwarden.sidecar.labels" .Subcharts.streamwarden | nindent 8 }}
    spec:
      initContainers:
        {{- include "streamwarden.sidecar" .Subcharts.streamwarden | nindent 8 }}
      volumes:
        {{- include "streamwarden.volumes" .Subcharts.streamwarden | nindent 8 }}

Before Kubernetes 1.29 the container belongs under `containers`: use "streamwarden.container" there.
*/}}
{{- define "streamwarden.sidecar" -}}
{{ include "streamwarden.container" . }}
  # Starts before the application and stops after it.
  restartPolicy: Always
{{- end -}}

{{/* The label by which the PodMonitor finds the Pods. */}}
{{- define "streamwarden.sidecar.labels" -}}
streamwarden/sidecar: {{ include "streamwarden.fullname" . | quote }}
{{- end -}}

{{/* The container. It has no readiness probe: an application serves whether or not it is watched. */}}
{{- define "streamwarden.container" -}}
- name: streamwarden
  image: {{ include "streamwarden.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  env:
    - name: STREAMWARDEN_CONFIG
      value: /etc/streamwarden/config/config.yaml
    - name: REDIS_URI_FILE
      value: /etc/streamwarden/redis/{{ if .Values.redis.uri }}uri{{ else }}{{ .Values.redis.uriKey }}{{ end }}
    {{- if .Values.redis.password }}
    - name: REDIS_PASSWORD_FILE
      value: /etc/streamwarden/redis/password
    {{- else if .Values.redis.passwordKey }}
    - name: REDIS_PASSWORD_FILE
      value: /etc/streamwarden/redis/{{ .Values.redis.passwordKey }}
    {{- end }}
    {{- with .Values.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.extraEnvFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    - name: streamwarden
      containerPort: {{ include "streamwarden.port" . }}
  livenessProbe:
    httpGet:
      path: /livez
      port: streamwarden
  resources:
    {{- toYaml .Values.resources | nindent 4 }}
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  # Folders, never a subPath: that is not brought up to date when the ConfigMap or a Secret changes.
  volumeMounts:
    - name: streamwarden-config
      mountPath: /etc/streamwarden/config
      readOnly: true
    - name: streamwarden-redis
      mountPath: /etc/streamwarden/redis
      readOnly: true
    {{- if .Values.trimToken.existingSecret }}
    - name: streamwarden-trim-token
      mountPath: /etc/streamwarden/trim-token
      readOnly: true
    {{- end }}
    {{- if .Values.webhook.existingSecret }}
    - name: streamwarden-webhook
      mountPath: /etc/streamwarden/webhook
      readOnly: true
    {{- end }}
    {{- if .Values.writeToken.existingSecret }}
    - name: streamwarden-write-token
      mountPath: /etc/streamwarden/write-token
      readOnly: true
    {{- end }}
    {{- with .Values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "streamwarden.volumes" -}}
- name: streamwarden-config
  configMap:
    name: {{ include "streamwarden.configMapName" . }}
- name: streamwarden-redis
  secret:
    secretName: {{ include "streamwarden.redisSecretName" . }}
{{- with .Values.trimToken.existingSecret }}
- name: streamwarden-trim-token
  secret:
    secretName: {{ . }}
{{- end }}
{{- with .Values.webhook.existingSecret }}
- name: streamwarden-webhook
  secret:
    secretName: {{ . }}
{{- end }}
{{- with .Values.writeToken.existingSecret }}
- name: streamwarden-write-token
  secret:
    secretName: {{ . }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
