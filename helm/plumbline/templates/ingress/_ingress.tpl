{{/* Name of the TLS Secret of one host. Arguments: root, host (its key in ingress.hosts). */}}
{{- define "plumbline.ingress.tlsSecret" -}}
{{- .root.Values.ingress.tls.secretName | default (include "plumbline.name" (dict "root" .root "component" (printf "%s-tls" .host))) -}}
{{- end -}}

{{/* `true` where cert-manager is asked for a certificate by an object of ours. */}}
{{- define "plumbline.ingress.certificates" -}}
{{- $ingress := .Values.ingress -}}
{{- if and $ingress.enabled $ingress.tls.enabled (not $ingress.tls.secretName) -}}
{{- if not $ingress.tls.certManager.issuerName -}}
{{- fail "ingress.tls: give secretName, or certManager.issuerName" -}}
{{- end -}}
{{- if not $ingress.tls.certManager.annotate -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/*
What stands behind the hosts that are set: JSON of {host key: {host, component, port}}. It refuses a host whose part is not
installed, and pages without a login of their own that nobody has put one in front of.
*/}}
{{- define "plumbline.ingress.backends" -}}
{{- $values := .Values -}}
{{- $ingress := .Values.ingress -}}
{{- $parts := dict
  "serving" (dict "component" "serving" "value" "serving.enabled" "on" $values.serving.enabled)
  "mlflow" (dict "component" "mlflow" "value" "mlflow.enabled" "on" $values.mlflow.enabled)
  "evidently" (dict "component" "evidently" "value" "monitoring.evidently.enabled" "on" $values.monitoring.evidently.enabled "open" true)
  "grafana" (dict "component" "grafana" "value" "grafana.enabled" "on" $values.grafana.enabled)
  "kfp" (dict "component" "kfp-ui" "value" "kfp.ui.enabled" "on" (and $values.kfp.enabled $values.kfp.ui.enabled) "open" true) -}}
{{- $backends := dict -}}
{{- range $key, $host := $ingress.hosts -}}
{{- if $host -}}
{{- $part := index $parts $key -}}
{{- if not $part.on -}}
{{- fail (printf "ingress.hosts.%s is set, but %s is false" $key $part.value) -}}
{{- end -}}
{{- if and $part.open (not $ingress.allowUnauthenticated) (not (index $ingress.auth $key)) -}}
{{- fail (printf "ingress.auth.%s: these pages have no login of their own; give the annotations of your controller's authentication, or set ingress.allowUnauthenticated" $key) -}}
{{- end -}}
{{- $_ := set $backends $key (dict "host" $host "component" $part.component) -}}
{{- end -}}
{{- end -}}
{{- toJson $backends -}}
{{- end -}}

{{/* Port of a backend's Service. Arguments: root, host (its key). */}}
{{- define "plumbline.ingress.port" -}}
{{- $values := .root.Values -}}
{{- if eq .host "serving" -}}{{ $values.serving.service.port }}
{{- else if eq .host "mlflow" -}}{{ $values.mlflow.service.port }}
{{- else if eq .host "evidently" -}}{{ $values.monitoring.evidently.service.port }}
{{- else if eq .host "grafana" -}}{{ $values.grafana.service.port }}
{{- else -}}{{ $values.kfp.ui.service.port }}
{{- end -}}
{{- end -}}
