{{/* What values.schema.json can't say: values that contradict each other, all at once. */}}
{{- define "streamwarden.refusals" -}}
{{- $wrong := list -}}
{{- with .Values -}}
{{- if and .redis.uri .redis.existingSecret -}}
{{- $wrong = append $wrong "redis.uri conflicts with redis.existingSecret; set only one" -}}
{{- end -}}
{{- if and .redis.password (not .redis.uri) -}}
{{- $wrong = append $wrong "redis.password needs redis.uri; name the key of a Secret of your own in redis.passwordKey" -}}
{{- end -}}
{{- if and .redis.passwordKey .redis.uri -}}
{{- $wrong = append $wrong "redis.passwordKey is for redis.existingSecret; with redis.uri write redis.password" -}}
{{- end -}}
{{- if dig "redis" "uri" "" (.config | default dict) -}}
{{- $wrong = append $wrong "config.redis.uri has no effect; set redis.uri, or the address in redis.existingSecret" -}}
{{- end -}}
{{- if regexMatch "^(127\\.|localhost:|\\[::1\\])" (dig "http" "listen" "" (.config | default dict)) -}}
{{- $wrong = append $wrong "config.http.listen is an address that neither the kubelet's probes nor Prometheus reach; write \"[::]:19121\"" -}}
{{- end -}}
{{- if and .trimToken.existingSecret (eq .trimToken.existingSecret .writeToken.existingSecret) (eq .trimToken.key .writeToken.key) -}}
{{- $wrong = append $wrong "trimToken and writeToken are the same token; who may trim must not act on stuck work by it: use two" -}}
{{- end -}}
{{- if and .config .existingConfigMap -}}
{{- $wrong = append $wrong "config conflicts with existingConfigMap; set only one" -}}
{{- end -}}
{{- if and .ingress.enabled (not .ingress.host) -}}
{{- $wrong = append $wrong "ingress.host is missing" -}}
{{- end -}}
{{- if and .ingress.enabled (not .ingress.annotations) (not .ingress.allowWithoutLogin) -}}
{{- $wrong = append $wrong "the page has no login: set ingress.annotations so that your controller asks for one, or ingress.allowWithoutLogin: true if the login is elsewhere" -}}
{{- end -}}
{{- if not .standalone.enabled -}}
{{- range $name, $part := dict "ingress" .ingress "serviceMonitor" .serviceMonitor "podDisruptionBudget" .podDisruptionBudget -}}
{{- if $part.enabled -}}
{{- $wrong = append $wrong (printf "%s.enabled needs standalone.enabled" $name) -}}
{{- end -}}
{{- end -}}
{{- else if and .podMonitor.enabled .serviceMonitor.enabled -}}
{{- $wrong = append $wrong "serviceMonitor.enabled and podMonitor.enabled would scrape each Pod twice; set only one" -}}
{{- end -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "\n- %s" (join "\n- " $wrong)) -}}
{{- end -}}
{{- end -}}
