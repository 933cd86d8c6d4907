{{/* Alertmanager's configuration. Takes the top context. */}}
{{- define "plumbline.alertmanager.config" -}}
{{- $values := .Values.alertmanager -}}
{{- $routes := list -}}
{{- $receivers := list (dict "name" "nobody") -}}
{{- if .Values.controller.enabled -}}
{{- $loop := dict
  "matchers" (list (printf "alertname=~%q" (join "|" $values.controllerAlerts)))
  "receiver" "plumbline-controller"
  "group_by" (list "alertname" "namespace" "model" "model_version")
  "group_wait" $values.controllerGroupWait
  "continue" true -}}
{{- $routes = append $routes $loop -}}
{{- $webhook := dict "url" (include "plumbline.controller.webhook" .) "send_resolved" true -}}
{{- if .Values.controller.auth.required -}}
{{- $token := dict "credentials_file" (include "plumbline.controller.tokenFile" .) -}}
{{- $_ := set $webhook "http_config" (dict "authorization" $token) -}}
{{- end -}}
{{- $receivers = append $receivers (dict "name" "plumbline-controller" "webhook_configs" (list $webhook)) -}}
{{- end -}}
{{- /* A budget that burns fast burns slowly too: one call is enough. */ -}}
{{- $burning := "alertname=~\".+BudgetBurning\"" -}}
{{- $inhibit := dict
  "source_matchers" (list $burning "severity=\"critical\"")
  "target_matchers" (list $burning "severity=\"warning\"")
  "equal" (list "alertname" "namespace" "slo") -}}
{{- $config := dict
  "route" (dict
    "receiver" ($values.defaultReceiver | default "nobody")
    "group_by" (list "alertname" "namespace")
    "group_wait" $values.groupWait
    "group_interval" $values.groupInterval
    "repeat_interval" $values.repeatInterval
    "routes" (concat $routes $values.extraRoutes))
  "inhibit_rules" (list $inhibit)
  "receivers" (concat $receivers $values.extraReceivers) -}}
{{- toYaml (mergeOverwrite $config (deepCopy $values.config)) -}}
{{- end -}}
