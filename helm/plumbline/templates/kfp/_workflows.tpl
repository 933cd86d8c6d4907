{{/* Where the log of a pod of a run lies in the bucket; Argo writes there, the UI reads there. */}}
{{- define "plumbline.kfp.logKey" -}}
{{ .Values.kfp.storePrefix }}/logs/{{ "{{workflow.name}}/{{workflow.creationTimestamp.Y}}/{{workflow.creationTimestamp.m}}/{{workflow.creationTimestamp.d}}/{{pod.name}}" }}
{{- end -}}

{{/*
What every workflow has, unless it says otherwise. Service links are off because Kubernetes would put variables such as
PLUMBLINE_MLFLOW_PORT into the steps, which refuse what is no setting.
*/}}
{{- define "plumbline.kfp.workflowDefaults" -}}
{{- $runs := .Values.kfp.runs -}}
{{- $main := dict "name" "main" -}}
{{- $volumes := list -}}
{{- if $runs.readOnlyRootFilesystem -}}
{{- $_ := set $main "securityContext" (dict "readOnlyRootFilesystem" true) -}}
{{- $_ := set $main "volumeMounts" (list (dict "name" "scratch-tmp" "mountPath" "/tmp") (dict "name" "scratch-home" "mountPath" "/var/lib/plumbline")) -}}
{{- $volumes = list (dict "name" "scratch-tmp" "emptyDir" dict) (dict "name" "scratch-home" "emptyDir" dict) -}}
{{- end -}}
{{- $patch := dict "enableServiceLinks" false "containers" (list $main) "volumes" $volumes -}}
{{- $spec := dict
  "activeDeadlineSeconds" $runs.activeDeadlineSeconds
  "podMetadata" (dict "labels" (include "plumbline.podLabels" (dict "root" . "component" "kfp-run") | fromYaml))
  "podSpecPatch" (toYaml $patch) -}}
{{- with .Values.global.imagePullSecrets -}}
{{- $secrets := list -}}
{{- range . -}}{{- $secrets = append $secrets (dict "name" .) -}}{{- end -}}
{{- $_ := set $spec "imagePullSecrets" $secrets -}}
{{- end -}}
{{- with (default .Values.nodeSelector $runs.nodeSelector) -}}{{- $_ := set $spec "nodeSelector" . -}}{{- end -}}
{{- with (default .Values.tolerations $runs.tolerations) -}}{{- $_ := set $spec "tolerations" . -}}{{- end -}}
{{- dict "spec" $spec | toYaml -}}
{{- end -}}
