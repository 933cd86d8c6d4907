{{/* Resources of a pod that holds replicas: the given ones, and its GPUs. */}}
{{- define "plumbline.serving.resources" -}}
{{- $resources := deepCopy .Values.serving.resources -}}
{{- if gt (int .Values.serving.gpu.count) 0 -}}
{{- $gpu := dict .Values.serving.gpu.resourceName (int .Values.serving.gpu.count) -}}
{{- $_ := set $resources "limits" (merge $gpu ($resources.limits | default dict)) -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}
