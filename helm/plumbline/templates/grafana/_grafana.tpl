{{/* Where Grafana finds Prometheus, and its provisioning. All take the top context. */}}

{{- define "plumbline.prometheus.url" -}}
{{- if .Values.prometheus.enabled -}}http://{{ include "plumbline.name" (dict "root" . "component" "prometheus") }}:{{ .Values.prometheus.service.port }}
{{- else -}}{{ required "prometheus.external.url is needed where grafana.enabled is true and prometheus.enabled is false" .Values.prometheus.external.url }}{{- end -}}
{{- end -}}

{{- define "plumbline.grafana.secret" -}}
{{- .Values.grafana.auth.existingSecret | default (include "plumbline.name" (dict "root" . "component" "grafana")) -}}
{{- end -}}

{{- define "plumbline.grafana.datasources" -}}
apiVersion: 1
datasources:
  - name: Prometheus
    uid: plumbline-prometheus
    type: prometheus
    access: proxy
    url: {{ include "plumbline.prometheus.url" . }}
    isDefault: true
    editable: false
    jsonData:
      httpMethod: POST
      timeInterval: {{ .Values.prometheus.scrapeInterval }}
{{- end -}}

{{- define "plumbline.grafana.providers" -}}
apiVersion: 1
providers:
  - name: plumbline
    folder: Plumbline
    type: file
    disableDeletion: true
    allowUiUpdates: false
    options:
      path: {{ .Values.grafana.dashboardsDir }}
{{- end -}}
