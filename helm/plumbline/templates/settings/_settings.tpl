{{/*
The platform's settings file: what follows from the chart's values, with .Values.settings laid over it.
It holds no secret; it is the same for every role.
*/}}
{{- define "plumbline.settings.yaml" -}}
{{- $name := "plumbline.name" -}}
{{- $derived := dict
  "profile" "cluster"
  "home" "/var/lib/plumbline"
  "store" (dict
    "bucket" .Values.objectstore.bucket
    "prefix" .Values.objectstore.prefix
    "region" .Values.objectstore.region)
  "features" (dict
    "registry_url" (include "plumbline.postgres.url" (dict "root" . "database" .Values.postgres.databases.feast))
    "server_host" "0.0.0.0"
    "server_port" (int .Values.features.server.service.port))
  "tracking" (dict "uri" (include "plumbline.mlflow.url" .))
  "serving" (dict
    "host" "0.0.0.0"
    "port" (int .Values.serving.service.port)
    "grpc_port" (ternary (int .Values.serving.service.grpcPort) nil (eq .Values.serving.mode "deployment"))
    "access" (dict "required" .Values.serving.auth.required "keys_dir" (ternary "/etc/plumbline-keys" nil .Values.serving.auth.required))
    "model_alias" .Values.serving.modelAlias
    "drain_file" "/tmp/draining"
    "start_patience_seconds" (int .Values.serving.startPatienceSeconds)
    "log" (dict
      "segment_seconds" (int .Values.serving.logSegmentSeconds)
      "retention_days" (ternary (int .Values.serving.logRetention.days) nil (gt (int .Values.serving.logRetention.days) 0))))
  "monitoring" (dict
    "exporter_host" "0.0.0.0"
    "exporter_port" (int .Values.monitoring.exporter.service.port)
    "ui_host" "0.0.0.0"
    "ui_port" (int .Values.monitoring.evidently.service.port))
  "controller" (dict
    "host" "0.0.0.0"
    "port" (int .Values.controller.service.port)
    "access" (dict
      "required" .Values.controller.auth.required
      "token_file" (ternary (include "plumbline.controller.tokenFile" .) nil .Values.controller.auth.required))
    "launcher" "kubernetes"
    "job_template" (include $name (dict "root" . "component" "retrain"))
    "release" .Values.controller.release
    "require_approval" .Values.controller.requireApproval)
  "pipelines" (dict
    "image" (include "plumbline.roleImage" (dict "root" . "role" "pipelines"))
    "config_map" (include $name (dict "root" . "component" "settings"))
    "require_approval" .Values.controller.requireApproval
    "runner" "embedded") -}}
{{- if eq .Values.serving.mode "rayservice" -}}
{{- $scaling := .Values.serving.autoscaling -}}
{{- $_ := merge $derived.serving (dict
  "replicas" (int (ternary $scaling.minReplicas .Values.serving.replicas $scaling.enabled))
  "max_replicas" (ternary (int $scaling.maxReplicas) nil $scaling.enabled)
  "num_gpus" .Values.serving.rayservice.gpusPerReplica
  "target_ongoing_requests" .Values.serving.rayservice.targetOngoingRequests) -}}
{{- end -}}
{{- with (include "plumbline.objectstore.url" .) -}}
{{- $_ := set $derived.store "endpoint_url" . -}}
{{- end -}}
{{- if .Values.monitoring.evidently.enabled -}}
{{- $_ := set $derived.monitoring "evidently_url" (printf "http://%s:%v" (include $name (dict "root" . "component" "evidently")) .Values.monitoring.evidently.service.port) -}}
{{- end -}}
{{- with (include "plumbline.alertmanager.url" .) -}}
{{- $_ := set $derived.monitoring "receivers" (list (dict "url" . "format" "alertmanager")) -}}
{{- else -}}
{{- if .Values.controller.enabled -}}
{{- $receiver := dict "url" (include "plumbline.controller.webhook" .) -}}
{{- if .Values.controller.auth.required -}}
{{- $_ := set $receiver "token_file" (include "plumbline.controller.tokenFile" .) -}}
{{- end -}}
{{- $_ := set $derived.monitoring "receivers" (list $receiver) -}}
{{- end -}}
{{- end -}}
{{- if or .Values.kfp.enabled .Values.kfp.external.host -}}
{{- $_ := set $derived "pipelines" (merge (include "plumbline.kfp.settings" . | fromYaml) $derived.pipelines) -}}
{{- end -}}
{{- toYaml (mergeOverwrite $derived (deepCopy .Values.settings)) -}}
{{- end -}}
