{{/* What Prometheus scrapes, its rules, and its configuration. All take the top context. */}}

{{/* Scraped components: JSON list of {component, port}. */}}
{{- define "plumbline.prometheus.targets" -}}
{{- $targets := list -}}
{{- if .Values.serving.enabled -}}
{{- $targets = append $targets (dict "component" "serving" "port" .Values.serving.service.port) -}}
{{- end -}}
{{- if .Values.controller.enabled -}}
{{- $targets = append $targets (dict "component" "controller" "port" .Values.controller.service.port) -}}
{{- end -}}
{{- if .Values.monitoring.exporter.enabled -}}
{{- $targets = append $targets (dict "component" "exporter" "port" .Values.monitoring.exporter.service.port) -}}
{{- end -}}
{{- if .Values.alertmanager.enabled -}}
{{- $targets = append $targets (dict "component" "alertmanager" "port" .Values.alertmanager.service.port) -}}
{{- end -}}
{{- toJson $targets -}}
{{- end -}}

{{/* The installation's own series, which the generated rules compare with (`plumbline monitor rules` writes the same). */}}
{{- define "plumbline.prometheus.parameters" -}}
{{- $rules := .Values.prometheus.rules -}}
groups:
  - name: plumbline-parameters
    rules:
      - record: plumbline:objective:ratio
        expr: vector({{ $rules.latencyObjective }})
        labels: {namespace: {{ .Release.Namespace }}, slo: latency}
      - record: plumbline:objective:ratio
        expr: vector({{ $rules.availabilityObjective }})
        labels: {namespace: {{ .Release.Namespace }}, slo: availability}
      - record: plumbline:monitor_interval:seconds
        expr: vector({{ int64 $rules.monitorIntervalSeconds }})
        labels: {namespace: {{ .Release.Namespace }}}
      - record: plumbline:retraining_limit:seconds
        expr: vector({{ int64 $rules.retrainingLimitSeconds }})
        labels: {namespace: {{ .Release.Namespace }}}
      {{- range (include "plumbline.prometheus.targets" . | fromJsonArray) }}
      - record: plumbline:component:expected
        expr: vector(1)
        labels: {namespace: {{ $.Release.Namespace }}, component: {{ .component }}}
      {{- end }}
{{- end -}}

{{/* Rule files by name, as JSON: the generated ones, the parameters, and groups of the user's own. */}}
{{- define "plumbline.prometheus.ruleFiles" -}}
{{- $files := dict -}}
{{- if .Values.prometheus.rules.enabled -}}
{{- range $path, $_ := .Files.Glob "files/rules/*.yaml" -}}
{{- $base := dig "monitoring" "runbook_base_url" "" $.Values.settings -}}
{{- $text := $.Files.Get $path | replace "runbook_url: docs/" (printf "runbook_url: %sdocs/" $base) -}}
{{- $_ := set $files (printf "rules-%s" (base $path)) $text -}}
{{- end -}}
{{- $_ := set $files "rules-parameters.yaml" (include "plumbline.prometheus.parameters" .) -}}
{{- end -}}
{{- with .Values.prometheus.rules.extraGroups -}}
{{- $_ := set $files "rules-extra.yaml" (toYaml (dict "groups" .)) -}}
{{- end -}}
{{- toJson $files -}}
{{- end -}}

{{- define "plumbline.prometheus.config" -}}
{{- $prometheus := .Values.prometheus -}}
global:
  scrape_interval: {{ $prometheus.scrapeInterval }}
  evaluation_interval: {{ $prometheus.evaluationInterval }}
  {{- with $prometheus.externalLabels }}
  external_labels:
    {{- toYaml . | nindent 4 }}
  {{- end }}
rule_files:
  - rules-*.yaml
{{- with (include "plumbline.alertmanager.url" .) }}
{{- $url := urlParse . }}
alerting:
  alertmanagers:
    - scheme: {{ $url.scheme }}
      {{- with trimSuffix "/" $url.path }}
      path_prefix: {{ . }}
      {{- end }}
      static_configs:
        - targets: [{{ ternary $url.host (printf "%s:%s" $url.host (ternary "443" "80" (eq $url.scheme "https"))) (contains ":" $url.host) | quote }}]
{{- end }}
scrape_configs:
  - job_name: plumbline-prometheus
    static_configs:
      - targets: ["localhost:{{ $prometheus.service.port }}"]
        labels: {namespace: {{ .Release.Namespace }}}
  {{- range (include "plumbline.prometheus.targets" . | fromJsonArray) }}
  - job_name: plumbline-{{ .component }}
    # One address per pod, from the cluster's DNS: no rights at the Kubernetes API are needed.
    dns_sd_configs:
      - names: ["{{ include "plumbline.name" (dict "root" $ "component" (printf "%s-metrics" .component)) }}.{{ $.Release.Namespace }}.svc"]
        type: {{ $prometheus.dnsRecordType }}
        port: {{ .port }}
        refresh_interval: 15s
    relabel_configs:
      - {target_label: namespace, replacement: {{ $.Release.Namespace }}}
  {{- end }}
  {{- with $prometheus.extraScrapeConfigs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
